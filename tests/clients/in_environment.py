"""Runs a test with the Python of out/clients/ENVIRONMENT ("" = this one). Leaves with 77, which ctest shows as skipped, if it is not there."""

import os
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
NOT_THERE = 77

if __name__ == "__main__":
    environment, test, *arguments = sys.argv[1:]
    python = pathlib.Path(sys.executable)
    if environment:
        python = REPOSITORY / "out" / "clients" / environment / "bin" / "python"
        if not (python.parents[1] / "versions").exists():
            print(f"skipped: expected the environment out/clients/{environment}, found none; run tools/fetch_clients.sh")
            sys.exit(NOT_THERE)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY / "tests" / "server"), str(REPOSITORY / "tests" / "clients")])
    os.execv(python, [str(python), test, *arguments])
