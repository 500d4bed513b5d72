"""The built-in mails in a real browser: on a phone and on a desk, light and dark. Nothing is fetched,
nothing runs, nothing is wider than the screen, and the page says what the plain text says.

`MAIL_PICTURES=FOLDER` keeps the pictures for people to look at.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile

from herald import check, main

SNAPSHOTS = pathlib.Path(__file__).parents[2] / "src" / "render" / "snapshots"


def words(text):
    """The words of a text, however they are laid out."""
    return re.findall(r"\S+", text)


def body():
    here = pathlib.Path(__file__).parent
    pages = sorted(SNAPSHOTS.glob("*.html"))
    check(len(pages) >= 4, f"{len(pages)} mails to look at")
    with tempfile.TemporaryDirectory(prefix="herald-pictures-") as temporary:
        folder = os.environ.get("MAIL_PICTURES") or temporary
        shown = subprocess.run(
            ["node", str(here / "mail_pictures.mjs"), folder, *map(str, pages)],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=150,
        )
        seen = json.loads(shown.stdout)
        pictures = len(list(pathlib.Path(folder).glob("*.png")))
        check(pictures >= len(seen) == 6 * len(pages), "each in three widths, light and dark")
    for one in seen:
        page = pathlib.Path(one["file"])
        what = f"{page.stem}, {one['width']} px, {one['colorScheme']}"
        check(one["requests"] == [page.as_uri()], f"{what}: nothing is fetched")
        check(not one["dialogs"] and one["scripts"] == 0, f"{what}: nothing runs")
        check(one["wide"] <= one["width"], f"{what}: it is no wider than the screen")
        check(min(one["contrasts"]) >= 4.5, f"{what}: the level is readable on its band")
        plain = page.with_suffix(".txt").read_text(encoding="utf-8")
        # There the level stands in brackets.
        plain = re.sub(r"^\[(INFO|WARN|CRITICAL)\] ", r"\1 ", plain, flags=re.M)
        # And there a link stands in full, which is a button here.
        links = re.findall(r"^https?://\S+$", plain, flags=re.M)
        check(links and one["links"] == links, f"{what}: its buttons lead where the plain text says")
        plain = re.sub(r"^https?://\S+$", "", plain, flags=re.M)
        check(words(one["text"]) == words(plain), f"{what}: it says what the plain text says")


main(body)
