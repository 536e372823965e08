"""Asks as Python's drivers do, with parameters: `ask.py PORT PASSWORD`. Writes a line for each driver and question."""

import datetime
import sys

import pg8000.native
import psycopg

port, password = int(sys.argv[1]), sys.argv[2]
since = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)


def say(driver, rows):
    [[actor, at]] = rows
    print(driver, actor, at.astimezone(datetime.timezone.utc).isoformat())


by_pg8000 = pg8000.native.Connection("ann", host="127.0.0.1", port=port, password=password, database="keywatch")
by_pg8000.run("SET application_name = 'a notebook'")
question = "SELECT actor, event_time FROM events WHERE actor = {} AND event_time >= {}"
say("pg8000", by_pg8000.run(question.format(":actor", ":since"), actor="actor-3", since=since))
try:
    by_pg8000.run("DELETE FROM events")
except pg8000.exceptions.DatabaseError as refused:
    print("pg8000 refused", refused.args[0]["C"])
by_pg8000.close()

address = f"host=127.0.0.1 port={port} user=ann password={password} dbname=keywatch"
with psycopg.connect(address) as by_psycopg:
    say("psycopg", by_psycopg.execute(question.format("%s", "%s"), ("actor-3", since)).fetchall())
    try:
        by_psycopg.execute("DELETE FROM events")
    except psycopg.errors.ReadOnlySqlTransaction as refused:
        print("psycopg refused", refused.sqlstate)
        by_psycopg.rollback()
    print("psycopg", by_psycopg.execute("SELECT count(*) FROM events WHERE source = 'idp'").fetchone()[0])
