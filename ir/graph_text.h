/* graph_text.h: what the printers and parsers of IR text share. Private to ir/.
 *
 * The text (one statement a line by habit; white space only separates; `;` starts a comment):
 *
 *     model "resnet"
 *     dim n 1..64                                a symbol with its bounds; either may be missing
 *     data #DIGEST f32[2] {1 2}                  elements of a large constant, named by digest
 *     state 2 -> 1 axis 2                        output 1 continues input 2; axis -1: same dims
 *     const %w : f32[3] {1 2 3}                  {0 ...}: all equal; #DIGEST: see data
 *     input %x : f32[n,3]
 *     %0 : f32[n,3] = Add(%x, %w) {alpha=1.0, axis=-1} define m @ Add "add1" + Relu "relu1"
 *     output %0 "y"
 *
 * Values are %name, %"any name" or %12 (one without a name); _ stands for one left out. A result is
 * `%v : type`, with <n,4> behind the type for known contents; where the type of an operator's
 * result is missing it is inferred. Nodes other than operators are
 *
 *     kernel(...) BODY                           see kernel_print.c
 *     reshape(%a)   concat(%a, %b) axis 1   call(%a) "name" ints [1,2] floats [0.5]
 *     bind(%a) [0]=n [3]=m   if(%c) REGION REGION   loop(%n, %c, %a) REGION
 *
 * and REGION is `region (%i : i64[], ...) { nodes; yield %a, %b }`. Attributes holding a region say
 * `name=region 0`. Lists in attributes: ints [1,2], floats [0.5], strings ["a"], tensors [...]. */
#ifndef INGOT_IR_GRAPH_TEXT_H
#define INGOT_IR_GRAPH_TEXT_H

#include "ir/graph.h"

#define INLINE_ELEMENTS 16 /* constants above are named by digest */

bool name_is_plain(const char *s); /* may stand without quotes */
void name_print(Text *out, const char *s);
void float_print(Text *out, double v); /* always tells itself from an integer */

/* f32[2] {1 2}; with `whole` all elements, whatever their number. */
void tensor_print(Text *out, const Tensor *t, bool whole);
bool tensor_has_data_line(const Tensor *t);
void tensor_digest(const Tensor *t, char out[33]);
/* The body of a kernel: outer 1 { stages }. */
void kernel_body_print(const Kernel *k, Text *out, int indent);

/* Reading. After the first failure, which is said to diag, everything fails. */
typedef struct Reader {
    Module *m;
    const char *s;
    const char *line_start; /* for columns */
    const char *file;
    int line;
    int depth; /* of regions */
    Status status;
    Map values; /* by text behind % */
    Map data;   /* tensors by digest */
    Diag *diag;
} Reader;

void reader_init(Reader *r, Module *m, const char *file, const char *text, Diag *d);
bool reader_fail(Reader *r, const char *format, ...) PRINTF(2, 3); /* false */
void reader_space(Reader *r);
bool reader_at(Reader *r, const char *token);   /* looks, behind white space */
bool reader_eat(Reader *r, const char *token);  /* takes it if it is there */
bool reader_need(Reader *r, const char *token); /* fails if it is not */
bool reader_word(Reader *r, const char **word); /* letters, digits, _ . */
bool reader_string(Reader *r, StringRef *out);  /* quoted */
bool reader_name(Reader *r, const char **name); /* plain or quoted */
bool reader_int(Reader *r, int64_t *out);
bool reader_small(Reader *r, int least, int most, int *out);
bool reader_double(Reader *r, double *out);
bool reader_number(Reader *r, bool *is_float, int64_t *i, double *f);
bool reader_dim(Reader *r, Dim *out);
bool reader_dims(Reader *r, Dim **out, int *n); /* [a,b] */
bool reader_type(Reader *r, Type *out);
bool reader_sx(Reader *r, const Sx **out);
bool reader_tensor(Reader *r, const Tensor **out);
bool reader_kernel(Reader *r, Kernel **out);

#endif
