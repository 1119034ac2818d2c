#!/usr/bin/env python3
"""Writes pandas.json beside this script: small CSV texts, and what pandas.read_csv makes of each.

    python make_pandas.py

The tables in the repository come from Python 3.11 and pandas 3.1.1. Every case holds the text, the options, and either what pandas
reads or the reasons for which Galen documents that it refuses the text. Reasons are found here from pandas's result alone: a column
of texts of which at least half, or more than half of the different ones, are numbers; an infinity; a name that stands twice; rows of
different lengths.

Strings are stored without white space around them, which Galen takes away; columns without a name are called as Galen calls them.
"""

import io
import json
import math
import pathlib
import random
import re

import pandas
from pandas._libs.parsers import STR_NA_VALUES

FOLDER = pathlib.Path(__file__).resolve().parent
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
OTHER_NOTATION = re.compile(r"[+-]?[\d.]*,[\d.,]*\d", re.ASCII)


def read(case, **more):
    how = case["how"]
    options = {
        "sep": how.get("sep", ","),
        "decimal": how.get("decimal", "."),
        "thousands": how.get("thousands"),
        "comment": how.get("comment"),
        "na_values": how.get("also_missing", how.get("missing")),
        "keep_default_na": "missing" not in how,
        "index_col": False if how.get("extra") == "DropLast" else None,
        "header": 0 if how.get("header", True) else None,
        "names": how.get("names"),
        "encoding": "latin1" if how.get("latin1") else "utf-8",
        "skipinitialspace": True,
    }
    if options["sep"] == "spaces":
        options["sep"] = r"\s+"
    if how.get("quote", True) is None:
        options["quoting"] = 3
    data = case["text"].encode(options["encoding"])
    return pandas.read_csv(io.BytesIO(data), **options, **more)


def finite(text, how):
    if how.get("thousands"):
        text = text.replace(how["thousands"], "")
    if how.get("decimal") == ",":
        if "." in text:
            return False
        text = text.replace(",", ".")
    return bool(NUMBER.fullmatch(text)) and math.isfinite(float(text))


def looks_like_number(text, how):
    if finite(text, how) or INFINITE.fullmatch(text) or (NUMBER.fullmatch(text) and math.isinf(float(text))):
        return True
    if how.get("decimal") == ",":
        return bool(NUMBER.fullmatch(text))
    return bool(OTHER_NOTATION.fullmatch(text))


def column(values, strings, how):
    """The column, and why Galen refuses it, if it does."""
    strings = [None if not isinstance(v, str) else v.strip() for v in strings]
    strings = [None if v in STR_NA_VALUES and "missing" not in how else v for v in strings]
    there = [v for v in strings if v is not None]
    # Whole numbers above 2⁶⁴ are Python's.
    numeric = values.dtype.kind in "iuf" or (len(there) > 0 and all(type(v) is int for v in values))
    if numeric:
        if any(math.isinf(float(v)) for v in values):
            return None, "number"
        out = {"numbers": [None if math.isnan(float(v)) else float(v) for v in values]}
        if there and all(re.fullmatch(r"[0-9]+", v) for v in there):
            out["written"] = strings
        return out, None
    different = set(there)
    looks = sum(looks_like_number(v, how) for v in there)
    if there and 2 * looks >= len(there) or 2 * sum(finite(v, how) for v in different) > len(different):
        return None, "number"
    return {"texts": strings}, None


def judge(case):
    how = case["how"]
    reasons = set(case.pop("reasons", []))
    try:
        frame = read(case)
        strings = read(case, dtype=str)
    except pandas.errors.ParserError:
        reasons.add("pandas")
    else:
        if how.get("extra") == "Index":
            frame, strings = frame.reset_index(), strings.reset_index()
        names = []
        for i, name in enumerate(frame.columns):
            unnamed = not how.get("header", True) and not how.get("names") or str(name).startswith("Unnamed: ")
            names.append(f"column_{i + 1}" if unnamed else str(name).strip())
        columns = []
        for i in range(len(names)):
            found, reason = column(frame.iloc[:, i], strings.iloc[:, i], how)
            columns.append(found)
            reasons |= {reason} - {None}
        if not reasons:
            case |= {"names": names, "columns": columns}
    if reasons:
        case["refused"] = sorted(reasons)
    return case


def chosen():
    """Cases that somebody has met."""
    out = []

    def case(text, reasons=(), **how):
        out.append({"text": text, "how": how, "reasons": list(reasons)})

    for marker in sorted(STR_NA_VALUES):
        case(f"id,age\n1,61\n2,{marker}\n3,40\n")
        case(f'id,sex\n1,f\n2,"{marker}"\n3,m\n')
        case(f'a\n1\n"{marker}"\n2\n')
    for odd in ["inf", "-inf", "Infinity", "+INF", "1e999", "-", "<5", ">100", "?", ".", "NAN", "Nan", "none", "0x1A", "1_000", "1 000", "1e", "--1", "5 mg", "12%", "True", "1,5", "1.2.3", "٣", "½"]:
        case(f'id,age\n1,61\n2,"{odd}"\n3,40\n')
        if odd != "٣":  # pandas compares it as a number, and takes 3 for missing.
            case(f'id,age\n1,61\n2,"{odd}"\n3,40\n', also_missing=[odd])
        case(f'id,note\n1,a\n2,"{odd}"\n3,b\n4,c\n')
    for number in ["+7", "-7", "007", ".5", "5.", "1e5", "1E-3", "-0", "0.1", "2.2250738585072014e-308", "1e-400", "0.30000000000000004", "123456789.123456789", "9007199254740993", "-9007199254740993", "18446744073709551615", "99999999999999999999"]:
        case(f"a,b\n{number},x\n2,y\n")
    case("id\n9007199254740992\n9007199254740993\n")
    case("id,x\n007,1\n7,2\n0007,3\n010,4\n")
    case("id,x\n007,1\n,2\n7,3\n")
    case("id,x\n01,1\n02,2\n12,3\n")
    # Names too many or too few, delimiters at the end of lines.
    case("a,b\nr1,1,2\nr2,3,4\n", ["columns"])
    case("a,b\nr1,1,2\nr2,3,4\n", extra="Index")
    case("a,b\n1,2,\n3,4,\n", ["columns"])
    case("a,b\n1,2,\n3,4,\n", extra="DropLast")
    case("a,b,\n1,2,\n3,4,\n")
    case("a,b,c\n1,2\n3,4\n", ["columns"])
    case(",a,b\nr1,1,2\nr2,3,4\n")
    case("a,b\n1,2,3,4\n", ["columns"])
    case("a,b,c\n1,2,3\n4,5\n", ["columns"])
    case("a,b\n1,2\n3,4,5\n", ["columns"])
    case("a,b,a\n1,2,3\n", ["names"])
    # Notations.
    case("a;b\n12,5;x\n-0,25;y\n", sep=";", decimal=",")
    case("a;b\n12.5;x\n-0.25;y\n", sep=";", decimal=",")
    case("a;b\n12,5;x\n-0,25;y\n", sep=";")
    case('a,b\n"1,234",x\n"12,345,678.5",y\n7,z\n')
    case('a,b\n"1,234",x\n"12,345,678.5",y\n7,z\n', thousands=",")
    case("a;b\n1.234,5;x\n7;y\n", sep=";", decimal=",", thousands=".")
    case("a;b\n1 234;x\n7;y\n", sep=";", thousands=" ")
    case("a;b\n1'234;x\n7;y\n", sep=";", thousands="'")
    case("a\tb\n1\tx y\n\tz\n", sep="\t")
    case("a b\n1   x\n2 \t y\n", sep="spaces")
    case("1,x\n2,y\n", header=False)
    case("1,x\n2,y\n", header=False, names=["n", "t"])
    case("a,b\n1,x\n2,y\n", names=["n", "t"])
    case("a,b\n-999,?\n5,\n", missing=["-999"])
    case("a,b\n-999,?\n5,NA\n", also_missing=["-999", "?"])
    case("name,n\nM\u00fcller,1\nNu\u00f1ez,2\n", latin1=True)
    case('tube\n5"\n6"\n', quote=None)
    # Comments, quotes, ends of lines.
    case("# head\na,b\n1,x # note\n# 2,y\n3,\"# z\"\n", comment="#")
    case("a,b\n1,2#\n3,#4\n", comment="#")
    case('a,b\n"x, y",1\n"two\nlines",2\n"so ""said""",3\n')
    case('a,b\n1, "x, y"\n2, ""\n')
    case('a, b\n1, ""\n2, 3\n')
    case('a,b\n1,x"y\n2,"x"y\n')
    case("\ufeffa,b\n1,x\n")
    case('\ufeff"a","b"\r\n1,x\r\n')
    case("a,b\r1,x\r2,y")
    case("a,b\n\n1,x\n  \n\n2,y\n\n")
    case('a,b\n"1\r\n2",x\r\n')
    case('a,b\n1,"x\n2,y\n', ["quotes"])
    case("a,b\n")
    case("a,b\nTrue,TRUE\nFalse,\n")
    case("a,b\n1,x\n2,1\n3,y\n4,y\n5,y\n6,1\n7,z\n")
    case("a\nnone\nnone\nnone\nnone\n5\n10\n20\n")
    return out


def invented(rng):
    """A table of columns of several kinds, some with slips of the pen."""
    width, height = rng.randint(1, 4), rng.randint(1, 8)

    def number():
        v = rng.choice([rng.randint(-9, 99), rng.uniform(-10, 10), rng.uniform(0, 1e6), rng.uniform(0, 1) * 10.0 ** rng.randint(-30, 30)])
        return rng.choice([str(v), f"{v:.2f}", f"{v:.3e}", f"{v:+g}"])

    def identity():
        return rng.choice([str(rng.randint(0, 12)), f"{rng.randint(0, 12):03}", str(2**53 + rng.randint(0, 3))])

    kinds = {
        "number": number,
        "count": lambda: str(rng.randint(0, 300)),
        "id": identity,
        "level": lambda: rng.choice(["f", "m", "a b", "x, y", 'so "said"', "two\nlines", "é", "yes"]),
        "any": lambda: rng.choice([number(), identity(), "high", "low", "<5", "inf"]),
    }
    how = {}
    sep = rng.choice([",", ",", ",", ";", "\t"])
    if sep != ",":
        how["sep"] = sep
    if rng.random() < 0.1:
        how["comment"] = "#"

    def cell(text):
        if rng.random() < 0.1:
            text = rng.choice([v for v in sorted(STR_NA_VALUES) if "comment" not in how or "#" not in v])
        elif rng.random() < 0.02:
            text = rng.choice(["-", "?", "<5", "inf", "n.d.", "1_0"])
        if rng.random() < 0.2 or any(c in text for c in '",;\t\n'):
            text = '"' + text.replace('"', '""') + '"'
        elif rng.random() < 0.05 and text not in STR_NA_VALUES:
            text += " "
        return (" " if rng.random() < 0.05 and sep != "\t" else "") + text

    names = [rng.choice(["age", "id", "x y", "n"]) + str(i) for i in range(width)]
    reasons = []
    if width > 1 and rng.random() < 0.03:
        names[-1] = names[0]
        reasons.append("names")
    made = [[cell(kinds[kind]()) for _ in range(height)] for kind in rng.choices(list(kinds), [4, 2, 2, 4, 1], k=width)]
    rows = [list(row) for row in zip(*made)]
    if width > 2 and rng.random() < 0.05:
        rows[rng.randrange(height)].pop()
        reasons.append("columns")
    elif width > 1 and rng.random() < 0.05:
        rows[rng.randrange(height)].append("9")
        reasons.append("columns")
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    lines = [sep.join(row) for row in [names, *rows]]
    if "comment" in how:
        # Not after an empty cell alone, which pandas takes for a row and Galen for none, nor after a space, which pandas keeps, nor after a
        # cell in quotes, to which pandas adds it.
        lines = [line + rng.choice(["", "", "# a note"]) if line.strip() and line[-1] != '"' else line for line in lines]
    if rng.random() < 0.2:
        lines.insert(rng.randrange(len(lines) + 1), "")
    text = rng.choice(["", "", "", "\ufeff"]) + end.join(lines) + rng.choice(["", end])
    return {"text": text, "how": how, "reasons": reasons}


def main():
    rng = random.Random(13)
    cases = [judge(case) for case in chosen() + [invented(rng) for _ in range(250)]]
    lines = [json.dumps(case, separators=(",", ":")) for case in cases]
    (FOLDER / "pandas.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    refused = sum("refused" in case for case in cases)
    print(f"{len(cases)} cases, {refused} of them refused")


main()
