"""Writes the dashboards: `python generate.py DIRECTORY`, with what requirements.txt names installed."""

import pathlib
import sys

from boards import BOARDS
from grafana_foundation_sdk.cog.encoder import JSONEncoder


def main(directory):
    for make in BOARDS:
        board = make().build()
        text = JSONEncoder(sort_keys=True, indent=1).encode(board)
        pathlib.Path(directory, f"{board.uid}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
