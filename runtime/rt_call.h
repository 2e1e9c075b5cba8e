/* rt_call.h: the functions behind NODE_CALL, one a file rt_call_NAME.c; their attributes are said
 * there. All return INGOT_OK or an INGOT_ERR_. The list is closed: what can be a kernel is one. */
#ifndef INGOT_RUNTIME_RT_CALL_H
#define INGOT_RUNTIME_RT_CALL_H

#include "ingot/ingot_rt.h"

int32_t ingot_call_det(const ingot_call_args *a);
int32_t ingot_call_image_decode(const ingot_call_args *a);
int32_t ingot_call_inverse(const ingot_call_args *a);
int32_t ingot_call_nms(const ingot_call_args *a);
int32_t ingot_call_topk(const ingot_call_args *a);
int32_t ingot_call_number_of_string(const ingot_call_args *a);
int32_t ingot_call_regex(const ingot_call_args *a);
int32_t ingot_call_string_concat(const ingot_call_args *a);
int32_t ingot_call_string_equal(const ingot_call_args *a);
int32_t ingot_call_string_normalize(const ingot_call_args *a);
int32_t ingot_call_string_of_number(const ingot_call_args *a);
int32_t ingot_call_string_split(const ingot_call_args *a);
int32_t ingot_call_tokens(const ingot_call_args *a);
int32_t ingot_call_trees(const ingot_call_args *a);
int32_t ingot_call_unique(const ingot_call_args *a);
int32_t ingot_call_list(const ingot_call_args *a);
int32_t ingot_call_list_insert(const ingot_call_args *a);
int32_t ingot_call_list_erase(const ingot_call_args *a);
int32_t ingot_call_list_at(const ingot_call_args *a);
int32_t ingot_call_list_element(const ingot_call_args *a);
int32_t ingot_call_list_length(const ingot_call_args *a);
int32_t ingot_call_list_split(const ingot_call_args *a);
int32_t ingot_call_list_concat(const ingot_call_args *a);
int32_t ingot_call_map_zip(const ingot_call_args *a);
int32_t ingot_call_map_dict(const ingot_call_args *a);
int32_t ingot_call_map_cast(const ingot_call_args *a);

#endif
