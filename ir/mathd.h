/* mathd.h: mathematics on double for the reference evaluator and for constants, of our own.
 *
 * Only + - * / and sqrt of IEEE doubles, and integers: no call into the C library, no contraction,
 * so the bits are the same on every host. Errors were measured against 60-digit arithmetic: see
 * mathd.c. */
#ifndef INGOT_IR_MATHD_H
#define INGOT_IR_MATHD_H

#include <stdint.h>
#include <string.h>

/* Exact: correctly rounded, in every case. */
double mathd_fma(double a, double b, double c);
float mathd_fmaf(float a, float b, float c);
double mathd_sqrt(double x);
double mathd_floor(double x);
double mathd_ceil(double x);
double mathd_trunc(double x);
double mathd_rint(double x); /* ties to even */
double mathd_fmod(double x, double y);
double mathd_scale(double x, int n); /* x * 2^n, rounded once */

/* Within 1.1 ulp; tan, the hyperbolic functions and their inverses, and sigmoid within 2.1. */
double mathd_exp(double x);
double mathd_log(double x);
double mathd_expm1(double x);
double mathd_log1p(double x);
double mathd_sin(double x);
double mathd_cos(double x);
double mathd_tan(double x);
double mathd_asin(double x);
double mathd_acos(double x);
double mathd_atan(double x);
double mathd_sinh(double x);
double mathd_cosh(double x);
double mathd_tanh(double x);
double mathd_asinh(double x);
double mathd_acosh(double x);
double mathd_atanh(double x);
double mathd_erf(double x);
double mathd_pow(double x, double y);
double mathd_sigmoid(double x);

static inline uint64_t mathd_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double mathd_of_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
