"""Reads every file of a folder under an audit hook and prints, as JSON, what came of each.

Run as a process of its own: an audit hook stays for good, and memory is measured per process.
"""

import json
import resource
import sys
from pathlib import Path

from vqlso.errors import CheckpointError
from vqlso.generators.import_gan import read_gan

WATCHED = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "marshal.")
HARMLESS = ("os.listdir", "os.scandir", "os.fspath")
seen: list[str] = []
reading: Path | None = None


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if reading is None or event in HARMLESS:
        return
    opened_elsewhere = event == "open" and (
        str(arguments[0]) != str(reading) or "w" in str(arguments[1])
    )
    if event.startswith(WATCHED) or "pickle" in event or opened_elsewhere:
        seen.append(f"{event} {arguments}"[:200])


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def outcome(path: Path) -> dict[str, object]:
    global reading
    seen.clear()
    error = ""
    reading = path
    try:
        read_gan(path)
    except CheckpointError as refusal:
        error = str(refusal)
    except BaseException as defect:
        error = f"DEFECT {type(defect).__name__}: {defect}"
    finally:
        reading = None
    return {"error": error, "events": list(seen), "peak": peak_mib() - baseline}


files = sorted(Path(sys.argv[1]).iterdir())
# Whatever readers import when they are first used is imported now; zipfile decodes names by cp437.
"".encode("cp437")
for path in Path(sys.argv[2]).iterdir():
    read_gan(path)
sys.addaudithook(watch)
baseline = peak_mib()
print(json.dumps({path.name: outcome(path) for path in files}))
