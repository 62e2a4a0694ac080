"""A model as a graph: its operations, and how to build a model from them again."""

from tfopt.graph._affine import affine_of, fold_factor
from tfopt.graph._augmentations import AUGMENTATIONS
from tfopt.graph._batch_norm import CHANNEL_AXES, fold_batch_norms, folds_into
from tfopt.graph._capture import capture
from tfopt.graph._clone import clone_operation
from tfopt.graph._einsum import EinsumAxes, einsum_axes, product_equation
from tfopt.graph._evaluation import Evaluation
from tfopt.graph._finite import check_finite
from tfopt.graph._graph import Expansion, Graph, Node, substitute, tensors_in
from tfopt.graph._graph import Operation as Operation
from tfopt.graph._graph import Tensor as Tensor
from tfopt.graph._kinds import activation_name, einsum_letters, final_activation, final_activations, kind
from tfopt.graph._layer_filter import LayerFilter, filters_by_value, selects
from tfopt.graph._layers import flatten_layers, own_weights, sublayers
from tfopt.graph._record import inline
from tfopt.graph._recursion import deep_recursion
from tfopt.graph._rewrite import build_model, copy_weights
from tfopt.graph._tensorflow_functions import FUNCTIONS as TENSORFLOW_FUNCTIONS
from tfopt.graph._tensorflow_nodes import OPERATIONS as TENSORFLOW_OPERATIONS
from tfopt.graph._tensorflow_nodes import node_function

__all__ = [
    "AUGMENTATIONS",
    "CHANNEL_AXES",
    "TENSORFLOW_FUNCTIONS",
    "TENSORFLOW_OPERATIONS",
    "EinsumAxes",
    "Evaluation",
    "Expansion",
    "Graph",
    "LayerFilter",
    "Node",
    "activation_name",
    "affine_of",
    "build_model",
    "capture",
    "check_finite",
    "clone_operation",
    "copy_weights",
    "deep_recursion",
    "einsum_axes",
    "einsum_letters",
    "filters_by_value",
    "final_activation",
    "final_activations",
    "flatten_layers",
    "fold_batch_norms",
    "fold_factor",
    "folds_into",
    "inline",
    "kind",
    "node_function",
    "own_weights",
    "product_equation",
    "selects",
    "sublayers",
    "substitute",
    "tensors_in",
]
