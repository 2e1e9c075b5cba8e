#include "ir/mathd.h"
#include <math.h>
#define F(f)                                                                                       \
    double mathd_##f(double x)                                                                     \
    {                                                                                              \
        return f(x);                                                                               \
    }
F(exp)
F(log)
F(expm1)
F(log1p)
F(sin)
F(cos)
F(tan)
F(asin)
F(acos)
F(atan)
F(sinh)
F(cosh)
F(tanh)
F(asinh)
F(acosh)
F(atanh)
F(erf)

double mathd_pow(double x, double y)
{
    return pow(x, y);
}
double mathd_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}
