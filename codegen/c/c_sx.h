/* c_sx.h: between the files that print C and its kin: scopes, expressions, and what tells the
 * languages apart. */
#ifndef INGOT_CODEGEN_C_SX_H
#define INGOT_CODEGEN_C_SX_H

#include "codegen/nest.h"

struct CPrint;

/* A language of the family: strings where it differs. */
typedef struct CDialect {
    const char *head;      /* of a translation unit: see c_prelude.c */
    const char *check;     /* text of k_check */
    const char *told;      /* first argument of k_check */
    const char *task_loop; /* opens the loop over t, the number of a task */
    const char *once;      /* condition for what all tasks need once, with "&&" behind; "" */
    bool points;           /* every point of the domain is a task */
    /* The function's first lines, up to and with '{': dim, scratch, inN and outN are there after.
     */
    void (*start)(struct CPrint *p, const char *name);
} CDialect;

typedef struct CPrint {
    const CDialect *dialect;
    Arena *arena;
    Text *out;
    const Nest *nest;
    const NestStage *s;
    int depth;       /* of braces */
    int next;        /* number of the next variable */
    Map variable;    /* const Sx * -> CVariable * */
    const char *bug; /* what could not be printed, or NULL */
} CPrint;

typedef struct CVariable {
    int number, depth;
} CVariable;

/* A line at the current depth. */
void c_line(CPrint *p, const char *format, ...) PRINTF(2, 3);
void c_open(CPrint *p);  /* behind a line that ends with '{' */
void c_close(CPrint *p); /* prints '}', forgets the variables of the scope */
/* The number of the variable that holds e; prints what is missing. */
int c_value(CPrint *p, const Sx *e);
void c_dim(CPrint *p, Text *out, Dim d);
/* Element offset, as text in the arena. */
const char *c_offset(CPrint *p, const Affine *x);
const char *c_type(DType d); /* of a value */
const char *c_name(DType d); /* suffix of helper functions */
const char *c_operand(CPrint *p, int src);
const char *c_dim_text(CPrint *p, Dim d);

#endif
