/* c_sx.h: between the files that print C: scopes and expressions. */
#ifndef INGOT_CODEGEN_C_SX_H
#define INGOT_CODEGEN_C_SX_H

#include "codegen/nest.h"

typedef struct CPrint {
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

#endif
