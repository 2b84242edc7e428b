# A client of PostgreSQL in its own image; the server is at 127.0.0.1, where the image trusts everybody.
export PGHOST=127.0.0.1 PGUSER="${POSTGRES_USER:-postgres}" PGPASSWORD="${POSTGRES_PASSWORD-}"
if [ -z "$PGPASSWORD" ] && [ -n "${POSTGRES_PASSWORD_FILE-}" ]; then
  PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
fi

# Statistics are made anew, and would never be the same twice. Nor would the word that keeps psql from commands
# in the data: with one of the job's own, beginning and end of an unchanged dump are not stored again.
dump() {
  set --
  known="$(pg_dumpall --help)"
  case "$known" in *--no-statistics*) set -- --no-statistics ;; esac
  case "$known" in *--restrict-key*) set -- "$@" ${WORD:+"--restrict-key=$WORD"} ;; esac
  exec pg_dumpall --no-password --database=template1 "$@" >"$PIPE"
}

# A place in the log to come back to: where it is, and the segment that it is in.
mark() {
  exec psql -XAtq --no-password -d template1 -F ' ' \
    -c "SELECT place, pg_walfile_name(place) FROM pg_create_restore_point('$1') AS place"
}

# All that was committed until now is in segments that are finished.
flush() {
  exec psql -XAtq --no-password -d template1 -c 'SELECT txid_current()' -c 'SELECT pg_switch_wal()'
}

# The oldest transaction that has not ended.
oldest() {
  exec psql -XAtq --no-password -d template1 -c 'SELECT txid_snapshot_xmin(txid_current_snapshot())'
}

# The role that the image makes has the password of today. It is in no command line.
renew() {
  if [ -z "$PGPASSWORD" ]; then return; fi
  psql -XAtq --no-password -d template1 -v ON_ERROR_STOP=1 -v name="$PGUSER" <<'END'
\set password `printf %s "$PGPASSWORD"`
ALTER ROLE :"name" PASSWORD :'password';
END
}

# A server that reads its log again serves when it has come to its end. Its base may be of a time when it was held.
arrive() {
  until [ "$(psql -XAtq --no-password -d template1 -c 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do
    sleep 0.2
  done
  release || exit 1
  renew
}

# A transaction has its mode from its beginning on. So those that began before every session had heard of it are ended,
# once they had their time; not those of pg_dump, which says itself that it only reads.
hold() {
  tries=0
  admin -c 'ALTER SYSTEM SET default_transaction_read_only = on' -c 'SELECT pg_reload_conf()' >/dev/null || exit 1
  until [ "$(held)" = on ]; do pause "the setting does not come"; done
  sleep 1
  began="$(admin -c 'SELECT clock_timestamp()')" || exit 1
  open="FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND application_name <> 'pg_dump' AND (backend_xid IS NOT NULL OR xact_start < '$began')"
  until count="$(admin -c "SELECT count(*) $open")" && [ "$count" = 0 ]; do
    if [ -z "$count" ]; then exit 1; fi
    if [ "$tries" -ge "$GRACE" ]; then admin -c "SELECT pg_terminate_backend(pid) $open" >/dev/null || exit 1; fi
    pause "$count sessions do not end"
  done
}

held() { admin -c 'SHOW default_transaction_read_only'; }

release() {
  ready
  tries=0
  admin -c 'ALTER SYSTEM RESET default_transaction_read_only' -c 'SELECT pg_reload_conf()' >/dev/null || exit 1
  until [ "$(held)" = off ]; do pause "the setting does not go"; done
}

admin() { psql -XAtq --no-password -d template1 -v ON_ERROR_STOP=1 "$@"; }

# Nobody ends what goes on in here after whoever asked has lost patience.
pause() {
  tries=$((tries + 1))
  if [ "$tries" -gt $((GRACE + 20)) ]; then echo "$1" >&2; exit 1; fi
  sleep 1
}

ready() {
  tries=0
  until pg_isready -q; do
    tries=$((tries + 1))
    if [ "$tries" -gt 1500 ]; then echo "the server did not get ready" >&2; exit 1; fi
    sleep 0.2
  done
}

load() {
  ready
  # The image has made a database of its own, which the dump makes too.
  psql -XAtq --no-password -d template1 -v ON_ERROR_STOP=1 <<'END' || exit 1
SELECT format('DROP DATABASE %I', datname) FROM pg_database
WHERE NOT datistemplate AND datname <> 'postgres' \gexec
END
  exec psql -Xq --no-password -d postgres -v ON_ERROR_STOP=1 -o /dev/null -f "$PIPE"
}

# From elsewhere: into the database that the image has made.
own="${POSTGRES_DB:-$PGUSER}"

statements() {
  ready
  exec psql -Xq --no-password -d "$own" -v ON_ERROR_STOP=1 -o /dev/null -f "$PIPE"
}

archive() {
  ready
  exec pg_restore --no-password --exit-on-error --dbname="$own" <"$PIPE"
}

schema() { exec pg_restore --schema-only --file=- <"$PIPE"; }

roles() { exec pg_dumpall --no-password --database=template1 --roles-only; }

# Each table with the number of its rows.
count() {
  ready
  psql -XAtq --no-password -d template1 -c 'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1' \
    >/tmp/bases || exit 1
  while IFS= read -r base; do
    PGDATABASE="$base" psql -XAtq --no-password -F "$(printf '\t')" -v ON_ERROR_STOP=1 <<'END' || exit 1
SELECT format('SELECT %L, count(*) FROM %I.%I', current_database() || ': ' || nspname || '.' || relname, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname <> 'information_schema' AND nspname !~ '^pg_' ORDER BY nspname, relname \gexec
END
  done </tmp/bases
}

# For smoke tests. A command of psql's own begins with a backslash: after a space all is SQL.
ask() {
  export PGDATABASE="${BASE:-$own}" PGCONNECT_TIMEOUT="$LIMIT"
  export PGOPTIONS="-c default_transaction_read_only=on -c statement_timeout=${LIMIT}s"
  exec psql -XAtq --no-password -v ON_ERROR_STOP=1 -c " $QUERY"
}
