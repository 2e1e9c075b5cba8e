/* graph.h: the graph: modules, regions, nodes, values.
 *
 * Glossary
 *   value    one tensor (or sequence, ...) at one point of the program; defined once: by a node, as
 * an argument of a region, or as a constant (data != NULL, no definer, no region) node     takes
 * values, defines values. Nodes of a region stand in a list, in an order in which every value is
 *            defined before it is read
 *   region   a list of nodes with arguments and results. The module's main region is the model; If,
 * Loop and Scan hold regions. Nodes of an inner region may read values of outer ones operator
 * NODE_OP: one ONNX operator, its row in the op table. After the pass `lower` none is left contents
 * an integer tensor whose elements are known as dims (a shape being computed) carries them
 *
 * All memory is the module's arena. Nothing is freed alone; a node that is unlinked is simply
 * forgotten. Passes change node->in[] directly, or value_replace() + module_resolve(). */
#ifndef INGOT_IR_GRAPH_H
#define INGOT_IR_GRAPH_H

#include "ir/kernel.h"
#include "ir/sx.h"
#include "ir/type.h"
#include "support/map.h"

typedef struct Module Module;
typedef struct Region Region;
typedef struct Node Node;
typedef struct Value Value;
typedef struct OpDef OpDef;

/* Where a node comes from; grows when nodes fuse. */
typedef struct Origin {
    const char *file;
    const char *node; /* its name in the model, else its first output's, else "" */
    const char *op;   /* "Conv" */
    int64_t index;    /* position in its graph; line in text formats */
    const struct Origin *next;
} Origin;

struct Value {
    Type type;
    const char *name;    /* from the model, or NULL; not unique, not identity */
    int id;              /* unique in the module */
    Node *def;           /* NULL: region argument or constant */
    int index;           /* among def->out or region->arg */
    Region *region;      /* of an argument */
    const Tensor *data;  /* constant */
    const Dim *contents; /* [count] or NULL; count is the constant number of elements */
    Value *forward;      /* set by value_replace until module_resolve */
    int uses;            /* by analysis_uses: readers, region results included */
    int mark;            /* scratch of the running pass */
};

typedef enum AttrKind {
    ATTR_NONE,
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRINGS,
    ATTR_TENSOR,
    ATTR_TENSORS,
    ATTR_REGION /* the region itself stands in node->region[i] */
} AttrKind;

typedef struct Attr {
    const char *name;
    AttrKind kind;
    int64_t i;   /* INT; REGION: index into node->region */
    double f;    /* FLOAT */
    StringRef s; /* STRING: NUL-terminated behind n */
    int n;       /* INTS, FLOATS, STRINGS, TENSORS: elements */
    const int64_t *ints;
    const double *floats;
    const StringRef *strings;
    const Tensor *tensor;
    const Tensor *const *tensors;
} Attr;

typedef enum NodeKind {
    NODE_OP,      /* an operator: op, attr */
    NODE_KERNEL,  /* kernel */
    NODE_RESHAPE, /* out[0] is in[0] with other dims, same elements in order, same memory where
                     possible */
    NODE_CONCAT,  /* out[0] is in[0..] one after the other along `axis` */
    NODE_CALL,    /* irregular work by a C function of the runtime: call */
    NODE_BIND, /* no outputs; defines symbols from the elements of the i64 or i32 tensor in[0]: bind
                */
    NODE_IF,   /* in[0] bool scalar; region[0] then, region[1] else, without arguments; out = their
                  results */
    NODE_LOOP  /* ONNX Loop: in[0] trip count i64 or NULL, in[1] condition bool or NULL, in[2..]
                * carried;  region[0] (iteration i64, condition bool, carried...) -> (condition,
                * carried..., scan...);  out = carried..., scan outputs stacked along a new first
                * axis
                */
} NodeKind;

/* NODE_CALL. The function is `int32_t ingot_call_NAME(const ingot_call_args *)`, see ingot_rt.h. */
typedef struct CallInfo {
    const char *name;
    int n_ints, n_floats;
    const int64_t *ints;
    const double *floats;
} CallInfo;

/* NODE_BIND: symbol[i] = element[i] of in[0]; checked to be within the symbol's [lo, hi] (a data
 * error otherwise). */
typedef struct BindInfo {
    int n;
    Dim *symbol;
    int *element;
} BindInfo;

struct Node {
    NodeKind kind;
    const OpDef *op; /* OP */
    int id;
    int n_in, n_out, n_attr, n_region;
    Value **in;  /* NULL: optional input left out */
    Value **out; /* NULL: output nobody wants */
    Attr *attr;
    Region **region;
    Kernel *kernel;
    CallInfo *call;
    BindInfo *bind;
    int axis;     /* CONCAT */
    bool whole;   /* CONCAT: operands have the result's dims and its memory, each made its part */
    int n_define; /* symbols that this node binds: an output dim that is exactly this symbol (CALL,
                     IF, LOOP), or bind */
    Dim *define;
    const Origin *origin;
    Region *parent;
    Node *prev, *next;
    int mark;
};

struct Region {
    Module *module;
    Node *holder; /* NULL: main */
    Node *first, *last;
    int n_arg, n_result, cap_arg, cap_result;
    Value **arg;
    Value **result;
};

/* State that the caller keeps between runs: output o continues input i, growing along `axis` (-1:
 * same dims). */
typedef struct StatePair {
    int input, output, axis;
} StatePair;

struct Module {
    Arena *arena;
    DimTable dims;
    SxTable sx;
    Interner names;
    const char *file; /* of the model, for messages */
    const char *name;
    Region *main; /* arg: inputs without constants, result: outputs; names in Value.name /
                     output_name */
    const char **output_name; /* [main->n_result] */
    int n_state;
    StatePair *state;
    int next_id;
};

Module *module_new(Arena *arena, const char *file);
Value *region_add_arg(Region *r, const char *name, Type type);
void region_add_result(Region *r, Value *v);
Region *region_new(Module *m, Node *holder);
/* A constant; tensor must live as long as the module. */
Value *module_constant(Module *m, const Tensor *t, const char *name);

/* A node, linked in before `before` (NULL: at the end of r). in is copied; out[] are fresh values
 * of unknown type. */
Node *node_new(Region *r, Node *before, NodeKind kind, int n_in, Value *const *in, int n_out,
               const Origin *origin);
/* One result more, the last. */
Value *node_add_result(Node *n, Type type);
Region *node_add_region(Node *n);
void node_unlink(Node *n);
/* All nodes of `from` into `to`, in front of `before` (NULL: at its end). */
void region_move_nodes(Region *from, Region *to, Node *before);
void node_define(Node *n, Dim symbol);
/* n also does what stood at `more`: those origins go behind its own, each once. */
void node_add_origin(Node *n, const Origin *more);

/* All readers of `old` shall read `new`: recorded now, carried out by module_resolve. */
void value_replace(Value *old, Value *with);
Value *value_resolve(Value *v); /* follow forward */
void module_resolve(Module *m);
/* Fill Value.uses everywhere. */
void analysis_uses(Module *m);

/* Visit nodes, outer before inner, in order; the visitor may unlink the node it is given. */
typedef Status (*NodeVisit)(void *context, Node *n);
Status module_visit(Module *m, NodeVisit visit, void *context) MUST_USE;
Status region_visit(Region *r, NodeVisit visit, void *context) MUST_USE;

/* Attributes by name; the defaults of the op row are already filled in, so a missing one is a bug
 * or optional. */
const Attr *attr_find(const Node *n, const char *name); /* NULL when absent */
int64_t attr_int(const Node *n, const char *name, int64_t absent);
double attr_float(const Node *n, const char *name, double absent);
const char *attr_string(const Node *n, const char *name, const char *absent);
const int64_t *attr_ints(const Node *n, const char *name, int *count); /* NULL, 0 when absent */
const Tensor *attr_tensor(const Node *n, const char *name);
Region *attr_region(const Node *n, const char *name);

Where node_where(const Node *n); /* for messages */
Where node_where_attr(const Node *n, const char *attr);
const char *node_op_name(const Node *n); /* for messages and text only */

/* Text. Values print as %12 or %"name"; constants above 16 elements by digest
 * (graph_print_data gives the elements; ir/graph_text.h the whole form). `stage` of the verifier
 * adds rules. */
typedef enum GraphStage { STAGE_IMPORTED, STAGE_INFERRED, STAGE_LOWERED, STAGE_FUSED } GraphStage;
void graph_print(const Module *m, Text *out);
/* The elements of the constants that graph_print names by digest: with these lines before or behind
 * it, the text is complete. */
void graph_print_data(const Module *m, Text *out);
Status graph_parse(Arena *arena, const char *text, const char *file, Module **out,
                   Diag *d) MUST_USE;
Status graph_verify(const Module *m, GraphStage stage, Diag *d) MUST_USE;
/* One kernel as text, operands named in0.., results out0..; with the types of its node. */
void kernel_print(const Node *n, Text *out);
const char *kernel_parse(Module *m, const char *s, Node *into, Diag *d); /* NULL when malformed */
Status kernel_verify(const Node *n, Diag *d) MUST_USE;

#endif
