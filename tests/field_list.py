"""The public reports that tfopt was measured by, and the test that holds each.

A report has the name of its tracker and a number; those of tensorflow/model-optimization have the number alone.
"""

# Tracker -> what was read there.
NUMBERS = {
    "": (4, 155, 162, 173, 206, 215, 270, 271, 279, 316, 362, 363, 367, 368, 372, 376, 377, 387, 391, 393, 409, 412,
         426, 513, 526, 541, 570, 574, 590, 601, 602, 611, 620, 628, 638, 647, 662, 668, 704, 718, 720, 721, 722, 732,
         760, 763, 812, 827, 829, 853, 920, 928, 941, 942, 957, 965, 974, 1026, 1089, 1099, 1107, 1114, 1119, 1122,
         1135, 1139, 1141, 1167),
    "TF": (24043, 25563, 29360, 40699, 40917, 42432, 42688, 43939, 46755, 47068, 47838, 58499, 58823, 60529, 60532,
           62989, 63987, 65529, 69237, 76672, 83754, 117962, 117965, 119411, 124718),
    "keras": (16873, 16888, 18930, 21560, 21561, 23082),
    "LiteRT": (41, 4761),
    "LiteRT-LM": (2497,),
    "tflite-micro": (907, 2119, 2279, 2602, 3218),
    "edgetpu": (238, 366, 391, 879),
    "AIMET": (1080, 1115, 1585, 2658),
    "MCT": (741, 797, 1154),
    "ModelOpt": (1600,),
    "INC": (2199,),
    "MQBench": (221,),
    "SKKU": (54,),
    "SparseML": (1607,),
    "onnxsim": (1239,),
    "qkeras": (130, 131),
    "tiny": (160,),
}  # fmt: skip

# Test -> the reports that it holds.
HELD = {
    "test_field_tfmot.py::test_what_was_refused_computes_in_integers": (
        "#638 #957 #377, keras #16888, TF #40699; #270; #620, MCT #797 #741; #363 #628; #763 #1089 #1099; #362; "
        "#718 #942; #1114 #376; #941 #1139; #647; #372 #602; TF #43939"
    ),
    "test_field_tfmot.py::test_what_could_not_be_pruned_is_sparse": "#155 #965 #590 #662 #812; #409; #215",
    "test_field_tfmot.py::test_a_checkpoint_is_sparse_and_smaller_when_zipped": (
        "#206; #722 #760 #162 #570 #1135, TF #47838 #60529 #58823"
    ),
    "test_field_tfmot.py::test_a_model_trained_in_mixed_float16_is_exported_as_it_is": "#367, TF #42432",
    "test_field_tfmot.py::test_4_bits_are_4_bits_in_the_file": "#574 #829 #853, TF #40917",
    "test_field_tfmot.py::test_a_quantized_model_loads_with_no_scope": "#426 #1122, TF #46755, keras #16873",
    "test_field_tfmot.py::test_a_model_of_keras_2_is_told_from_one_of_keras_3": "#1119 #1141 #1167 #928 #393",
    "test_field_tfmot.py::test_a_mobile_net_v3_that_is_pruned_and_quantized_survives_conversion": (
        "#368 #1107 #974, TF #47068 #83754; #668 #316 #412 #526; edgetpu #238 #366 #391; edgetpu #879"
    ),
    # Models of Keras 3 are trained with rounding, and converted.
    "quantization/test_battery.py::test_from_quantize_to_the_interpreter": "keras #18930, TF #62989 #63987 #65529",
    "conversion/test_names.py::test_a_subclassed_model_has_names_too": "TF #69237",
    "conversion/test_parity.py::test_operation": "TF #60532",
    "conversion/test_int16.py::test_operation": "LiteRT #4761",
    "conversion/test_targets.py::test_operation": "tflite-micro #3218",
    "conversion/test_recurrent.py::test_saved_loaded_and_equal_to_its_file": "TF #76672",
    "test_networks.py::test_a_network_in_integers": "TF #25563, LiteRT #41, tflite-micro #907 #2119",
    "quantization/test_bits.py::test_targets": "tflite-micro #2602, LiteRT-LM #2497",
    # XLA nudges zero points another way.
    "quantization/test_battery.py::test_xla_trains_the_same_ranges": "TF #117962 #117965 #119411 #124718",
    "quantization/test_training.py::test_pruned_zeros_stay_exact": "#720 #721, onnxsim #1239",
    "pruning/test_fit_patterns.py::test_exact_sparsity_after_fit": "keras #21560 #21561 #23082",
    "pruning/test_masks.py::test_compiled_equals_eager": "#1026, TF #58499",
    "pruning/test_targets.py::test_nothing_to_prune_says_why": "#601",
    "pruning/test_trainers.py::test_steps_are_those_of_the_optimizer_that_moves_the_pruned_weights": "#271 #387 #827",
    "test_replicas.py::test_two_replicas_train_as_one": "#4, TF #24043",
    # Zeros alone make nothing faster: sparse kernels do on some targets, and channels that are gone do on all.
    "conversion/test_sparse.py::test_a_sparse_file_is_smaller_and_computes_the_same": "#173 #391, SKKU #54",
    "shrinking/test_shrink.py::test_latency_budget_is_met_on_litert": "#611 #704, tflite-micro #2279",
    "shrinking/test_shrink_equality.py::test_outputs_equal_those_of_the_masked_original": "#732 #541, TF #42688",
    "clustering/test_files.py::test_a_file_holds_few_codes": "#279",
    "clustering/test_clustering.py::test_channels_have_values_of_their_own": "#920",
    "distillation/test_distiller.py::test_the_teacher_is_not_touched": "ModelOpt #1600",
    "pipeline/test_compress.py::test_all_techniques_in_one_fit": "#513, TF #29360",
    "analysis/test_sensitivity.py::test_a_row_for_each_layer_and_technique": "AIMET #1080 #1115 #1585 #2658",
}

# Reports -> why no test of tfopt can hold them.
NOT_OURS = {
    "qkeras #130 #131": "a port of qkeras to Keras 3 is asked for",
    "INC #2199, SparseML #1607, MCT #1154": "these tools leave Keras, or hold on to an old one",
    "MQBench #221, tiny #160": "figures of other programs",
}

# What people met that has no number -> the test that holds it.
IN_WORDS = {
    # Mistakes of other tools.
    "wrappers that rename layers and must be stripped": (
        "pruning/test_pruning.py::test_checkpoints_are_plain_and_as_sparse_as_the_log"
    ),
    "a copy without the wiring of shared layers": "graph/test_capture.py::test_rewrite_equals_the_original",
    "one unknown layer fails all": "quantization/test_quantize.py::test_what_has_no_kernel_is_left_float_and_named",
    "training that ends unpruned in silence": (
        "pruning/test_pruning.py::test_training_that_ends_before_the_schedule_warns"
    ),
    "masks and steps that are not saved": (
        "pruning/test_pruning.py::test_a_resumed_run_equals_one_that_was_not_interrupted"
    ),
    "moments that move masked weights": "pruning/test_zeros.py::test_zeros_are_exact_at_every_step",
    "N:M masks from the first step on": (
        "pruning/test_fit_patterns.py::test_exact_sparsity_of_every_pattern_and_schedule"
    ),
    "ranges from -6 to 6": "quantization/test_quantize.py::test_calibration_sees_the_whole_range_of_all_batches",
    "averages that begin at 0": "quantization/test_training.py::test_the_average_is_debiased",
    "batch norms found by class": (
        "graph/test_capture.py::test_folding_removes_only_batch_norms_behind_a_lone_linear_layer"
    ),
    "bits trained that are not the bits stored": "quantization/test_bits.py::test_the_file_holds_the_trained_values",
    "training that rounds as no kernel does": "conversion/test_parity.py::test_operation",
    "smaller only when zipped": "conversion/test_sparse.py::test_compare_shows_raw_gzip_and_sparse_size",
    "a distillation that drops weights and losses": (
        "distillation/test_distiller.py::test_the_loss_is_the_documented_sum"
    ),
    "a rounded file as large as the float one": "conversion/test_export.py::test_every_weight_is_per_channel",
    "a version of the framework from years ago": (
        "test_packaging.py::test_the_lower_bounds_are_the_versions_that_are_tested"
    ),
    "names that stay experimental": "test_api.py::test_all_is_sorted_and_true",
    "Flex operators without a word": "runtimes/test_tflite_file.py::test_flex_operators_are_named",
    # Asked for.
    "a largest drop of accuracy": "analysis/test_accuracy.py::test_gives_back_what_was_planted",
    "bits under a budget": "budgets/test_search.py::test_a_file_within_the_budget",
    "recipes as files": "recipes/test_recipes.py::test_shipped_recipes_are_right",
    "a check before training": "docs/test_support_matrix.py::test_it_says_what_check_says",
    "the error of each tensor": "runtimes/test_drift.py::test_model_explorer_gets_a_value_for_each_node",
    # Models that were refused, or lost what they had learned.
    "the calibration that TFLite's tutorials write": "test_field_reports.py::test_calibration_takes_every_form",
    "dicts whose keys are in another order": (
        "test_field_reports.py::test_calibration_of_two_inputs_takes_every_form"
    ),
    "dicts with a wrong key": "test_field_reports.py::test_a_dict_with_a_wrong_key_is_named",
    "a percentile of one's own": "test_field_reports.py::test_the_share_that_a_percentile_cuts_is_an_argument",
    "bytes and integers as inputs": "test_field_reports.py::test_whole_numbers_are_an_input_like_others",
    "inputs with the name of a keyword": "test_field_reports.py::test_inputs_have_any_name_and_order",
    "open dimensions": "test_field_reports.py::test_open_sizes_stay_open",
    "text and look-ups": "test_field_reports.py::test_text_is_cut_off_as_the_error_says",
    "dicts of outputs": "conversion/test_names.py::test_outputs_of_a_dict_have_its_keys",
    "several signatures": "runtimes/test_litert.py::test_of_several_signatures_the_first_runs_and_is_named",
    "an error that is not the cause": "test_field_reports.py::test_the_converters_cause_is_the_one_that_is_told",
    "Lambda, and layers with no config": "test_field_layers.py::test_layers_of_ones_own",
    "functions of keras.ops between layers": (
        "test_field_layers.py::test_functions_of_keras_ops_have_kernels_or_are_named_islands"
    ),
    "an error text that fills the report": (
        "test_field_layers.py::test_a_layer_that_cannot_be_opened_has_one_short_reason"
    ),
    "boxes beside scores, sensors, columns": "test_field_ranges.py::test_a_range_that_costs_values_is_named",
    "boxes and scores that are sliced or split apart again, sensors before a normalization": (
        "test_field_ranges.py::test_parts_keep_grids_of_their_own_where_no_number_changes"
    ),
    "advice that does not help": (
        "test_field_ranges.py::test_the_configuration_that_is_advised_brings_the_values_back"
    ),
    "volumes that grow": "conversion/test_parity.py::test_operation",
    "layers in the order of damage": "test_field_ranges.py::test_layers_come_in_the_order_of_damage",
    "one sample 500 times the rest": "test_field_ranges.py::test_outliers_are_few_and_far",
}
