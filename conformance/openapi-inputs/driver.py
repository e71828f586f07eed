"""Has schemathesis call every operation of the API's document with inputs made from it, right and wrong ones.

Each check writes one JSON line, {"check": name} with "error" where it failed. Requests are not signed: the server
that they are for asks for no signatures.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

import requests

from openapi_checks import run

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "docs/reference/openapi.json"
# What an answer must be whatever was asked.
SHAPE = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 40
# The same inputs in every run.
SEED = 1
PATIENCE_SECONDS = 110
SHOWN = 6_000


class Checks:
    """The checks, by name; the second looks at what the first has left."""

    def __init__(self, endpoint):
        self._url = f"http://{endpoint}"

    def call(self, method, *names, **parameters):
        path = "/".join(urllib.parse.quote(name, safe="") for name in names)
        answer = requests.request(method, f"{self._url}/{path}", timeout=30, **parameters).json()
        if answer["success"] is not True:
            raise AssertionError(f"{method} {path}: {answer}")
        return answer.get("data")

    def pages(self, *names):
        """All of a list, page by page."""
        found, number = [], 1
        while True:
            page = self.call("GET", *names, params={"pageNumber": number, "pageSize": 100})
            found += page["list"]
            if len(found) >= page["totalCount"] or not page["list"]:
                return found
            number += 1

    def inputs(self):
        topic = {"messageType": "NORMAL"}
        self.call("POST", "instances", "default", "topics", "inputs", json=topic)
        group = {"deliveryOrderType": "Concurrently",
                 "consumeRetryPolicy": {"retryPolicy": "DefaultRetryPolicy", "maxRetryTimes": 16}}
        self.call("POST", "instances", "default", "consumerGroups", "GID_inputs", json=group)
        command = [
            pathlib.Path(sys.executable).with_name("st"), "--config-file", HERE / "schemathesis.toml",
            "run", DOCUMENT, "--url", self._url, "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES),
            "--seed", str(SEED), "--checks", SHAPE, "--continue-on-failure", "--warnings", "off",
            "--suppress-health-check", "all",
        ]
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        print(ended.stdout, ended.stderr, file=sys.stderr)
        if ended.returncode != 0:
            raise AssertionError(f"schemathesis ended with {ended.returncode}: {ended.stdout[-SHOWN:]}")

    def nothing_half_made(self):
        """Whatever was made by chance is whole: it is listed, described, and can be deleted."""
        for instance in self.pages("instances"):
            name = instance["instanceId"]
            self.call("GET", "instances", name)
            for kind, key in (("topics", "topicName"), ("consumerGroups", "consumerGroupId")):
                for one in self.pages("instances", name, kind):
                    self.call("GET", "instances", name, kind, one[key])
                    self.call("DELETE", "instances", name, kind, one[key])
                assert self.pages("instances", name, kind) == []
            for one in self.pages("instances", name, "accounts"):
                self.call("GET", "instances", name, "account", params={"username": one["username"]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--access-key")
    parser.add_argument("--secret-key")
    run(Checks(parser.parse_args().endpoint), ("inputs", "nothing-half-made"))


if __name__ == "__main__":
    sys.exit(main())
