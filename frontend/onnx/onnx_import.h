/* onnx_import.h: from decoded messages to the graph; what the files of this folder share.
 *
 * Glossary
 *   scope    names of values in one graph or function body; a graph within a node sees outer scopes
 *   code     whose nodes are being imported: the model's, or one call of a function, with the
 *            versions of operators that it was written in and the attributes of the call
 *   draft    a node being brought to the newest form, before it is made: names resolved to values,
 *            attributes read, graphs not yet imported
 *   poison   stands for the results of a node that could not be imported; what reads it is skipped,
 *            so that one fault is told once and all faults of a model are told together */
#ifndef INGOT_FRONTEND_ONNX_IMPORT_H
#define INGOT_FRONTEND_ONNX_IMPORT_H

#include "frontend/onnx/onnx_tensor.h"
#include "ir/op.h"

enum { ONNX_NEWEST = 28 }; /* opset of ai.onnx that the op table's meanings are of */

typedef struct Scope {
    const struct Scope *outer;
    Map values; /* name -> Value */
} Scope;

/* An attribute given to a function: where it was written decides what its names mean. */
typedef struct Actual {
    const char *name;
    const Onnx__AttributeProto *proto;
    const struct Code *code;
    const Scope *scope;
} Actual;

typedef struct Code {
    size_t n_opset;
    Onnx__OperatorSetIdProto **opset;
    const struct Code *model;            /* versions that a function does not state */
    const Onnx__FunctionProto *function; /* NULL: the model itself */
    const struct Code *caller;
    const char *prefix; /* of node names in messages: "call/" */
    int n_actual;
    const Actual *actual;
    int depth;
} Code;

typedef struct GraphArg {
    const Onnx__GraphProto *graph;
    const Code *code;
    const Scope *scope;
    int first; /* of the rounds of a Loop: how many of them stand before it */
} GraphArg;

typedef struct Draft {
    const char *domain, *op; /* domain "" is ai.onnx */
    int64_t version;
    int n_in, n_out, n_attr, n_graph;
    Value **in;         /* has room for DRAFT_INPUTS more */
    const bool *wanted; /* [n_out] */
    Attr *attr;         /* has room for DRAFT_ATTRS more */
    GraphArg *graph;    /* attr[].i of kind ATTR_REGION counts here */
    const Origin *origin;
    Build *build;   /* at the place of the node */
    Value **result; /* [n_out] when an upgrade has built the results itself */
    bool peel;      /* a Loop whose first round belongs before it; */
    bool whole;     /* that it cannot be, and is not asked for again */
} Draft;

enum { DRAFT_INPUTS = 4, DRAFT_ATTRS = 6 };

typedef struct Importer {
    Module *module;
    Arena *arena;   /* of the module */
    Arena *scratch; /* gone after the import */
    Diag *diag;
    const FrontendOptions *options;
    const Onnx__ModelProto *proto;
    TensorSource tensors;
    Map functions;  /* "domain name overload" -> FunctionProto */
    Map attributes; /* AttributeProto -> Attr: read once */
    Value *poison;
    Value *absent; /* an input of a function that its caller leaves out */
    int depth;     /* of graphs and functions being imported */
    Status failed; /* the first fault of a node; the import goes on */
    int tentative; /* > 0: faults are not told and end the attempt */
    int64_t nodes, max_nodes;
    Map asked;     /* If of a Squeeze -> the Dim that it asks for */
    Map answers;   /* Dim -> what the branch being imported knows of it */
    int n_answers; /* such branches, within each other */
    int64_t block; /* channels of a block of com.microsoft.nchwc; 0: not asked yet */
    size_t arena_start, memory_limit;
} Importer;

/* onnx_import.c */
Status import_model(Importer *im) MUST_USE;
/* The nodes of `graph` into r, which is empty: arguments, constants, nodes, results. `types` are
 * those of the arguments, or NULL: as the graph declares them. */
Status import_region(Importer *im, const GraphArg *g, Region *r, int n_types,
                     const Type *types) MUST_USE;
/* Nodes in any order into r, with the names of `scope`. want[]: the names in it that are looked up
 * afterwards. */
Status import_nodes(Importer *im, Region *r, size_t n, Onnx__NodeProto *const *nodes, Scope *scope,
                    const Code *code, size_t n_want, const char *const *want) MUST_USE;

/* onnx_split.c: what comes behind an If whose branches disagree in rank. */
typedef struct Rest {
    const Onnx__NodeProto *split; /* the If */
    size_t n;                     /* nodes behind it, in order, and their places in the file */
    Onnx__NodeProto *const *nodes;
    const size_t *order;
    const Code *code;
    size_t n_want;
    const char *const *want;
} Rest;
bool split_needed(const Node *n);
/* done: the rest stands in the graph; else nothing was changed. */
Status import_split(Importer *im, Node *n, const Rest *rest, Scope *scope, bool *done) MUST_USE;
Status import_rest(Importer *im, Region *r, const Rest *rest, Scope *scope) MUST_USE;
Status import_limits(Importer *im) MUST_USE;
Scope *scope_new(Importer *im, const Scope *outer);
Value *scope_find(const Scope *s, const char *name);
const char *import_name(Importer *im, const char *name);
const char *node_label(const Onnx__NodeProto *p);
/* A fault of one node: noted, so that the import can go on; or to be passed on at once. */
Status import_fault(Importer *im, Status s) MUST_USE;
Status import_define(Importer *im, Scope *scope, const char *name, Value *v, Where where) MUST_USE;
bool region_poisoned(const Importer *im, const Region *r);

/* A graph at the end of r, which is not its own: its inputs are in[], out[k] is its k-th result. */
Status import_inline(Importer *im, const GraphArg *g, Region *r, int n_in, Value *const *in,
                     int n_out, Value **out) MUST_USE;

/* onnx_known.c: puts the branches of an If in the IR's order; the one that is taken when the
 * condition is known: 0 (true) or 1, else -1. */
int known_branch(Importer *im, Draft *x);
/* The result of n as a constant, when its inputs are known and it is small; else NULL. */
Value *known_result(Importer *im, const Node *n);

/* onnx_order.c: an order of nodes in which values are defined before they are read. */
Status order_nodes(Importer *im, size_t n, Onnx__NodeProto *const *nodes, const Code *code,
                   size_t *order) MUST_USE;

Where origin_where(const Origin *o);
/* onnx_node.c: one node, or the call of a function, at the end of r. */
Status import_node(Importer *im, Region *r, const Onnx__NodeProto *p, int64_t index, Scope *scope,
                   const Code *code) MUST_USE;

/* onnx_user.c: operators that the user brings along; out[p->n_output]. x has inputs and attributes.
 */
bool user_known(const Importer *im, const char *domain, const char *op);
Status import_user(Importer *im, const Onnx__NodeProto *p, Draft *x, Value **out) MUST_USE;

/* onnx_gradient.c: the operator Gradient; out[x->n_out]. */
bool gradient_named(const char *domain, const char *op);
Status import_gradient(Importer *im, Draft *x, const Scope *scope, Value **out) MUST_USE;

/* onnx_types.c */
Status import_type(Importer *im, const Onnx__TypeProto *p, Where where, Type *out) MUST_USE;

/* onnx_attr.c: *out is NULL when a reference to an attribute of the function has no value. Graphs
 * are left to the caller: `graph` is set. */
Status import_attr(Importer *im, const Code *code, const Scope *scope,
                   const Onnx__AttributeProto *p, Where where, const Attr **out,
                   GraphArg *graph) MUST_USE;
/* Follow references to what was written; false when there is no value. */
bool attr_actual(const Code **code, const Scope **scope, const Onnx__AttributeProto **p);

/* onnx_control.c: the regions of a node that holds some, then its inference; not where it sets
 * x->peel. */
Status import_held(Importer *im, Draft *x, Node *n) MUST_USE;

/* An If at the end of r with two empty branches; when those are made: its types. */
Node *import_if(Importer *im, Region *r, Value *condition, int n_out, const Origin *origin);
Status import_joined(Importer *im, Node *n) MUST_USE;

/* onnx_squeeze.c: the Squeeze x, or at the end of r an If that asks for a dim: then both branches
 * get x and what is behind it, between squeeze_answer and squeeze_forget. */
bool squeeze_asks(const Importer *im, const Draft *x);
Status import_squeeze(Importer *im, Region *r, const Draft *x, Value **out) MUST_USE;
bool squeeze_asked(const Importer *im, const Node *n);
void *squeeze_answer(Importer *im, const Node *n, int b);
void squeeze_forget(Importer *im, const Node *n, void *before);
/* What does not read such a Squeeze goes before it, and is in no branch. */
Status squeeze_last(Importer *im, size_t n, Onnx__NodeProto *const *nodes, size_t *order) MUST_USE;

/* onnx_peel.c */
bool loop_peels(const Draft *x, const Region *body); /* body: of its first round */
/* The Loop x at the end of r, its first round before it where that can be; out[x->n_out]. */
Status import_peeled(Importer *im, Region *r, Draft *x, Value **out) MUST_USE;

/* onnx_function.c */
const Onnx__FunctionProto *function_find(Importer *im, const char *domain, const char *name,
                                         const char *overload);
Status functions_init(Importer *im) MUST_USE;
/* The body of f at the end of r, with the call's inputs (NULL: left out); out[k] is the k-th output
 * of f. */
Status import_call(Importer *im, Region *r, const Onnx__FunctionProto *f,
                   const Onnx__NodeProto *call, const Origin *origin, int n_in, Value *const *in,
                   const Scope *scope, const Code *code, Value **out) MUST_USE;

/* The draft as a node at the end of r, inferred; out[x->n_out]. */
Status import_draft(Importer *im, Region *r, Draft *x, Value **out) MUST_USE;

/* onnx_upgrade.c: to the newest form; ERR_UNSUPPORTED when that cannot be done. */
Status upgrade(Importer *im, Draft *x) MUST_USE;
/* Is there a way to import this operator at all? */
bool contrib_form(int k, FrontendForm *out); /* see frontend_form */
bool upgrade_known(const char *domain, const char *op, int64_t version);

/* onnx_contrib.c: operators of com.microsoft as those of ai.onnx that they are. */
bool contrib_known(const char *domain, const char *op);
Status contrib_upgrade(Importer *im, Draft *x) MUST_USE;
/* onnx_absent.c: what an operator is that is not there, and what to do; NULL: nothing is known. */
const char *absent_why(const char *domain, const char *op);
/* onnx_nchwc.c: tells operators of com.microsoft.nchwc how their weights lie. */
Status nchwc_upgrade(Importer *im, Draft *x) MUST_USE;

/* What upgrades are made of. */
typedef struct UpgradeRow UpgradeRow;
typedef Status (*UpgradeFn)(Importer *im, Draft *x, const UpgradeRow *row);
struct UpgradeRow {
    const char *op;
    int before; /* applies to versions below this one */
    UpgradeFn apply;
    const char *name; /* of an attribute, or the new name of the operator */
    int64_t i;        /* number of an input, or a value */
    double f;
    const char *s;
};
enum { ALWAYS = 1 << 30 };
const Attr *draft_attr(const Draft *x, const char *name);
int64_t draft_int(const Draft *x, const char *name, int64_t absent);
double draft_float(const Draft *x, const char *name, double absent);
void draft_drop(Draft *x, const char *name);
void draft_set(Draft *x, Attr a);                /* replaces one of that name */
void draft_set_input(Draft *x, int k, Value *v); /* inputs between are left out */
bool draft_wants(const Draft *x, int k);
Status draft_result(Importer *im, Draft *x, Value *v) MUST_USE; /* v is the node's only result */
Status draft_unsupported(Importer *im, const Draft *x, const char *what) MUST_USE;
DType draft_dtype(const Draft *x); /* of in[0], f32 while unknown */

/* onnx_legacy.c: forms that become several nodes. */
Status legacy_broadcast(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_slope(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_softmax(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_batchnorm(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_groupnorm(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_dropout(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_tile(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_scan(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_affine(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_image_scaler(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_crop(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_scaled(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_fill(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_given(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;
Status legacy_mvn(Importer *im, Draft *x, const UpgradeRow *row) MUST_USE;

/* onnx_missing.c: says all operators that cannot be imported; ERR_UNSUPPORTED when there are any.
 */
Status check_missing(Importer *im, const Code *code) MUST_USE;
int64_t opset_version(const Code *code, const char *domain); /* -1: not stated */
const char *plain_domain_of(const char *domain);             /* "" for ai.onnx */

#endif
