"""SELECT as SELECT_V2, the one of the two that all runtimes have."""

from tfopt.conversion._flatbuffer import Flatbuffer


def renew_selects(file: Flatbuffer) -> None:
    """Makes each SELECT that picks number by number a SELECT_V2: TFLite Micro has no SELECT.

    The converter writes a SELECT where all shapes are the same, for which both compute the same.

    Args:
        file: what the converter returned.
    """
    selects = [op for op in file.graph.operators if file.name(op) == "SELECT"]
    shapes = [[tuple(file.graph.tensors[at].shape) for at in (op.inputs[0], op.outputs[0])] for op in selects]
    if not selects or any(condition != output for condition, output in shapes):
        return
    file.changed = True
    for op in selects:
        code = file.model.operatorCodes[op.opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = file.schema.BuiltinOperator.SELECT_V2
        op.builtinOptionsType = file.schema.BuiltinOptions.SelectV2Options
        op.builtinOptions = file.schema.SelectV2OptionsT()
