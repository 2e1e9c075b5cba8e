#!/usr/bin/env python3
"""The op table against the schemas of the onnx package and of ONNX Runtime: operators, versions, attributes.

    table_check.py INGOT

Of ONNX's operators each must be there, in its newest version, with all attributes; of ONNX Runtime's own, those that are
there must know all attributes: one that the table does not have is refused. Ends with `N passed, N failed, N skipped`."""
import json
import subprocess
import sys

import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as runtime

# Written as other operators, or found before the table is asked.
ELSEWHERE = {("ai.onnx", "Upsample"), ("ai.onnx.preview.training", "Gradient")}
ATTRIBUTES = {("ai.onnx", "Constant"): {"sparse_value"}}
# The newest version withdraws it, and changes nothing else.
WITHDRAWN = {("ai.onnx.ml", "TreeEnsembleClassifier"), ("ai.onnx.ml", "TreeEnsembleRegressor")}


def table_of(ingot):
    said = subprocess.run([ingot, "inspect", "--ops", "--json"], capture_output=True, text=True, check=True).stdout
    return {(row["domain"], row["name"]): row for row in json.loads(said)}


def faults_of(key, row, schema, newest):
    """What a row lacks of its schema; `newest`: of the version, too."""
    missing = set(schema.attributes) - set(row["attributes"]) - ATTRIBUTES.get(key, set())
    if missing:
        yield f"has no attribute {', '.join(sorted(missing))}"
    if newest and row["since"] != schema.since_version and key not in WITHDRAWN:
        yield f"is of version {row['since']}, the newest is {schema.since_version}"


def main():
    table = table_of(sys.argv[1])
    checked, failed = 0, 0
    newest = {(s.domain or "ai.onnx", s.name): s for s in onnx.defs.get_all_schemas()}
    own = {(s.domain, s.name): s for s in runtime.get_all_operator_schema() if s.domain.startswith("com.microsoft")}
    for key, schema in sorted((newest | {k: s for k, s in own.items() if k in table}).items()):
        if key in ELSEWHERE:
            continue
        faults = list(faults_of(key, table[key], schema, key in newest)) if key in table else ["is not there"]
        checked += 1
        failed += bool(faults)
        for fault in faults:
            print(f"FAIL {'.'.join(key)} {fault}")
    print(f"{checked - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
