"""What the drivers of the OpenAPIs' clients for Python share; `xtask` puts this folder on their path."""

import json
import traceback


def run(checks, names):
    """Runs the checks of these names, methods of `checks`, one after the other.

    Each writes one JSON line, {"check": name} with "error" where it failed.
    """
    for name in names:
        line = {"check": name}
        try:
            getattr(checks, name.replace("-", "_"))()
        except Exception as error:  # Whatever it is, it is this check's failure.
            traceback.print_exc()
            line["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(line, ensure_ascii=False), flush=True)
