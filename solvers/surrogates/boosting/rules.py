"""LightGBM's settings of categorical splits, all at its defaults."""

# cat_smooth, cat_l2, max_cat_threshold, min_data_per_group, max_cat_to_onehot and
# min_sum_hessian_in_leaf.
CAT_SMOOTH = 10.0
CAT_L2 = 10.0
MAX_CATEGORIES = 32
MIN_GROUP = 100.0
MAX_ONE_HOT = 4
MIN_HESSIAN = 1e-3
# kEpsilon of include/LightGBM/meta.h, a float32 constant that it adds to sums of Hessians.
EPSILON = 1.0000000036274937e-15
