#!/usr/bin/env python3
"""Prints ir/case.def: the simple case mappings of Unicode, as ranges.

    tests/unicode/case_table.py > ir/case.def

Simple means one code point to one, as towupper and towlower have it: where the full mapping has
several, the title case does if it is one, else there is none."""
import sys
import unicodedata

EXTRA = {0x130: 0x69}  # lower case of I with a dot above, by itself


def lower(c):
    s = chr(c).lower()
    return ord(s) if len(s) == 1 else EXTRA.get(c, c)


def upper(c):
    s, t = chr(c).upper(), chr(c).title()
    return ord(s) if len(s) == 1 else ord(t) if len(t) == 1 else c


def ranges(mapping):
    rows = []
    for c in range(0x110000):
        delta = mapping(c) - c
        if 0xd800 <= c < 0xe000 or delta == 0:
            continue
        if rows:
            first, last, step, d = rows[-1]
            gap = c - last
            if d == delta and (gap == step or (first == last and gap <= 2)):
                rows[-1] = (first, c, gap if first == last else step, d)
                continue
        rows.append((c, c, 1, delta))
    return rows


print(f"""/* case.def: CASE(way, first, last, step, delta): every step-th code point from first to last goes
 * to itself plus delta. Simple mappings of Unicode {unicodedata.unidata_version}; written by
 * tests/unicode/case_table.py. */""")
for way, mapping in (("LOWER", lower), ("UPPER", upper)):
    for first, last, step, delta in ranges(mapping):
        print(f"CASE({way}, 0x{first:x}, 0x{last:x}, {step}, {delta})")
sys.exit(0)
