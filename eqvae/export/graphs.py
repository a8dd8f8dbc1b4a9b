"""Functions as files: `torch.export` programs and ONNX graphs, for any number of images."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from eqvae.export.check import Run
from eqvae.export.functions import Function
from eqvae.export.small_matrices import WrittenOut

OPSET = 20  # the default: the first whose GridSample is cubic by the name that torch.export writes
LEAST_OPSET = 18  # that torch's exporter writes


@torch.no_grad()
def traced(function: Function) -> ExportedProgram:
    """The program of a function, its first axis free.

    Raises:
        ValueError: if a part of it depends on the images in a way that no graph can.
    """
    function.module(*function.example)  # makes the tables that formulas need, as real numbers
    free = tuple({0: Dim.DYNAMIC} for _ in function.example)
    try:
        with WrittenOut():
            program = torch.export.export(function.module, function.example, dynamic_shapes=free)
    except (RuntimeError, torch._dynamo.exc.UserError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"this model can't be written as a graph: {first}") from error
    _drop_what_does_nothing(program)
    return program


def _drop_what_does_nothing(program: ExportedProgram) -> None:
    """Erase slices that take all and remarks on types: up to a sixth of all nodes, at 30 ms each."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            graph.erase_node(node)
        elif node.target is torch.ops.aten.slice.Tensor:
            if node.args[2:] in ((), (0, sys.maxsize), (None, sys.maxsize)):
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
    program.graph_module.recompile()


def write_torch(program: ExportedProgram, path: Path) -> None:
    """A .pt2 file that `torch.export.load(path).module()` runs."""
    with _quiet():  # it says that tables are views of others
        torch.export.save(program, path)


def write_onnx(program: ExportedProgram, function: Function, path: Path, opset: int) -> None:
    """An .onnx file with its weights inside."""
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass, RemoveUnusedNodesPass
    from onnxscript.optimizer import fold_constants

    with _quiet(), torch.no_grad():
        written = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=opset,
            input_names=list(function.inputs),
            output_names=list(function.outputs),
            optimize=False,  # its rewriting takes longer than all the rest, and runtimes do it themselves
            verbose=False,
        )
        fold_constants(written.model)
        RemoveUnusedNodesPass()(written.model)
        CommonSubexpressionEliminationPass()(written.model)
        written.save(path, external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say of their own affairs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def runner(path: Path) -> Run:
    """The function of a file: by onnxruntime, or by torch."""
    if path.suffix == ".pt2":
        return torch.export.load(path).module()
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        arrays = {name: part.numpy() for name, part in zip(names, inputs, strict=True)}
        return [torch.from_numpy(part) for part in session.run(None, arrays)]

    return run
