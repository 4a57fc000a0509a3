"""Solves one CP-SAT model from the standard input, in a process of its own.

Run by `solvers.trees.backends.cpsat`, which says why. The message is JSON: a model and parameters
in the text format of protocol buffers.
"""

from __future__ import annotations

import json
import sys

from ortools.sat.python import cp_model_helper as cp_sat


def main() -> None:
    """Read the message, solve, and write what was found as JSON."""
    message = json.load(sys.stdin)
    model, parameters = cp_sat.CpModelProto(), cp_sat.SatParameters()
    model.parse_text_format(message["model"])
    parameters.parse_text_format(message["parameters"])
    wrapper = cp_sat.SolveWrapper()
    wrapper.set_parameters(parameters)
    response = wrapper.solve(model)  # type: ignore[no-untyped-call]
    answer = {
        "status": response.status.name,
        "solution": list(response.solution),
        "bound": response.best_objective_bound,
        "conflicts": response.num_conflicts,
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
