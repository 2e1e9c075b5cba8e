/* frame.h: results that lie within a larger tensor, and kernels that read them there; between the
 * passes `halo` and `concat`. No decisions here. */
#ifndef INGOT_PASSES_FRAME_H
#define INGOT_PASSES_FRAME_H

#include "ir/build.h"
#include "passes/pass.h"

/* What reads a value. */
typedef struct Readers {
    bool given; /* a result of a region */
    Node **node;
    int n, cap;
} Readers;

typedef struct Frames {
    Module *m;
    Arena *scratch;
    Map readers; /* Value * -> Readers * */
} Frames;

Status frames_start(Frames *f, Module *m, Arena *scratch) MUST_USE;
Readers *frame_readers(Frames *f, const Value *v);
void frame_add_reader(Frames *f, const Value *v, Node *n);
/* Whether n is a kernel that can look for v elsewhere: it loads at indices. All readers of v: */
bool frame_reader_follows(Frames *f, const Value *v, const Node *n);
bool frame_readers_follow(Frames *f, const Value *v);

/* The result by which a kernel of one stage makes all of v, and nothing around it; else NULL. */
StageOut *frame_maker(const Value *v);
/* v lies at `before` within `dims`, `border` around it; `open`: axes along which the rest belongs
 * to others. Its maker knows, its readers do not yet. */
void frame_set(Module *m, Value *v, const Dim *dims, const int64_t *before, int64_t border,
               uint32_t open);
/* The elements of v, `dims` of them from `before` on (NULL: from the first), by a kernel. */
Value *frame_copy(Build *b, Value *v, const char *label, const Dim *dims, const int64_t *before);

typedef struct FrameShift {
    int src, to;           /* loads of src become loads of `to`, */
    const int64_t *before; /* so much further */
    const Sx *open;        /* this one loses its guard, */
    const Sx *whole;       /* as does the select around it; NULL: none does */
} FrameShift;
void frame_shift(Module *m, Node *n, const FrameShift *w);

#endif
