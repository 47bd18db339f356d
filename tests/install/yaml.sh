#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/install/yaml.sh: the YAML below config/examples is read by a parser, if Python's is installed. Exit status 77: it is
# not, so nothing was looked at (ctest: Skipped).
set -euo pipefail
export LC_ALL=C

tree=$(cd -P -- "$(dirname -- "$0")/../.." && pwd)
if ! python3 -c 'import yaml' 2>/dev/null; then
    echo "yaml: no python3 with yaml here: nothing was looked at"
    exit 77
fi
find "$tree/config/examples" -name '*.yaml' -print0 | sort -z | xargs -0 python3 -c '
import json, sys, yaml

kinds = []
for path in sys.argv[1:]:
    with open(path) as file:
        documents = [document for document in yaml.safe_load_all(file)]
    for document in documents:
        assert isinstance(document, dict), path
        if "kubernetes" not in path:
            assert document["services"]["worker"]["environment"]["QUERN_REDIS"], path
            continue
        assert document["apiVersion"] and document["metadata"]["name"], path
        kinds.append(document["kind"])
        if document["kind"] == "ConfigMap":
            for text in document["data"].values():
                json.loads(text)
        if document["kind"] in ("Deployment", "StatefulSet"):
            spec = document["spec"]
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"], path
            containers = spec["template"]["spec"]["containers"]
            assert all(container["resources"]["limits"]["memory"] for container in containers), path
assert {"Deployment", "ConfigMap", "Secret", "StatefulSet", "Service"} <= set(kinds), kinds
print("%d files, %d objects" % (len(sys.argv) - 1, len(kinds)))
'
