"""The command ``uvl``: set-up and demo. The work itself is done in Python or in the App."""

import argparse
import sys
from collections.abc import Callable, Sequence

from uvl_plugin.core.errors import SettingsError, UVLError

_CTRL_C = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except UVLError as error:
        print(f"uvl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _CTRL_C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uvl", description="UVL, a FiftyOne plugin.")
    commands = parser.add_subparsers(metavar="command", required=True)

    doctor = commands.add_parser("doctor", help="check this computer; say how to mend it")
    doctor.add_argument("checks", nargs="*", metavar="check", help="only these, such as database")
    doctor.set_defaults(run=_doctor)

    link = commands.add_parser("link", help="make the plugin known to FiftyOne")
    link.set_defaults(run=_link)

    indexes = commands.add_parser("indexes", help="similarity indexes on this computer")
    indexes.add_argument(
        "--delete-unused", action="store_true", help="delete those of no dataset in this database"
    )
    indexes.set_defaults(run=_indexes)

    demo = commands.add_parser("demo", help="explore 1,797 digits in a database of its own")
    _add_demo(demo, ".demo", _demo)
    video = commands.add_parser("demo-video", help="explore short clips that are made on the spot")
    _add_demo(video, ".demo/video", _demo_video)
    return parser


def _add_demo(
    command: argparse.ArgumentParser, folder: str, run: Callable[[argparse.Namespace], int]
) -> None:
    command.add_argument("--no-app", action="store_true", help="stop after the report")
    command.add_argument("--folder", default=folder, help="for media and database (%(default)s)")
    command.add_argument("--port", type=int, default=5151, help="first to try (%(default)s)")
    command.set_defaults(run=run)


def _doctor(chosen: argparse.Namespace) -> int:
    from uvl_plugin.adapter.doctor import CHECKS, doctor

    for name in chosen.checks:
        if name not in CHECKS:
            raise SettingsError(f"There is no check '{name}'. Known: {', '.join(CHECKS)}.")
    return doctor(chosen.checks)


def _link(chosen: argparse.Namespace) -> int:
    from uvl_plugin.adapter import backend_config
    from uvl_plugin.adapter.link import link

    print(link())
    if (path := backend_config.make_known()) is not None:
        print(f"FiftyOne finds the similarity backend 'faiss': {path}.")
    return 0


def _indexes(chosen: argparse.Namespace) -> int:
    from uvl_plugin.adapter import index_list

    deleted = index_list.delete_unused() if chosen.delete_unused else []
    for index in deleted:
        print("deleted", index)
    for index in index_list.stored_indexes():
        print(index)
    return 0


def _demo(chosen: argparse.Namespace) -> int:
    from uvl_plugin.adapter.demo import demo

    demo(chosen.folder, app=not chosen.no_app, port=chosen.port)
    return 0


def _demo_video(chosen: argparse.Namespace) -> int:
    from uvl_plugin.adapter.demo_video import demo_video

    demo_video(chosen.folder, app=not chosen.no_app, port=chosen.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
