/* svm_coupling.h: class probabilities from those of the pairs. */
#ifndef INGOT_IR_OPS_SVM_COUPLING_H
#define INGOT_IR_OPS_SVM_COUPLING_H

#include "ir/build.h"

/* `pairs`: [rows, classes (classes - 1) / 2], of the pairs (0,1), (0,2), ..., (1,2), ...: the
 * probability of the first class. Gives [rows, classes]; NULL after a failure. */
Value *svm_coupled(Build *b, Value *pairs, int classes);

/* [rows, classes, classes] of f32: what is said of i against j, from [rows, pairs] for i < j; one
 * minus that the other way round, 0 on the diagonal. */
Value *svm_both_ways(Build *b, Value *pairs, int classes);

#endif
