# A client of MariaDB or MySQL in its own image; the server is at 127.0.0.1.
for name in MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD; do
  eval "value=\${$name-} file=\${${name}_FILE-}"
  if [ -z "$value" ] && [ -n "$file" ]; then value="$(cat "$file")"; fi
  if [ -n "$value" ]; then export MYSQL_PWD="$value"; fi
done
program() { command -v "$1" || command -v "$2" || { echo "the image has no $1" >&2; return 127; }; }
own="--host=127.0.0.1 --user=root"
case "$(program mariadb mysql)" in *mariadb) own="$own --skip-ssl" ;; esac

# MariaDB writes users as statements, here after the tables that they may read, and without the rest of the system's
# tables; MySQL has only the tables.
dump() {
  dump="$(program mariadb-dump mysqldump)" || exit
  set -- --all-databases --single-transaction --quick --routines --events --triggers --hex-blob --skip-dump-date
  if "$dump" --help | grep -q -e '--system='; then
    {
      "$dump" $own "$@" --ignore-database=mysql --ignore-database=sys && echo '-- drover: users' &&
        "$dump" $own --system=users
    } >"$PIPE"
  else
    if "$dump" --help | grep -q -e '--set-gtid-purged'; then set -- "$@" --set-gtid-purged=OFF; fi
    "$dump" $own "$@" --flush-privileges >"$PIPE"
  fi
}

ready() {
  sql="$(program mariadb mysql)" || exit
  tries=0
  until said="$($sql $own --execute='SELECT 1' 2>&1)"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 1500 ]; then echo "the copy did not get ready: $said" >&2; exit 1; fi
    sleep 0.2
  done
}

load() {
  ready
  # The image may have made a database and a user of its own, which the dump makes too.
  $sql $own --batch --skip-column-names <<'END' >/tmp/drop.sql || exit 1
SELECT CONCAT('DROP DATABASE `', REPLACE(schema_name, '`', '``'), '`;') FROM information_schema.schemata
WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema');
SELECT CONCAT('DROP USER ', QUOTE(user), '@', QUOTE(host), ';') FROM mysql.user
WHERE user NOT IN ('root', 'mysql', 'mariadb.sys', 'healthcheck', '') AND user NOT LIKE 'mysql.%';
END
  $sql $own </tmp/drop.sql || exit 1
  { cat "$PIPE" && own_password; } | $sql $own --binary-mode
}

# MySQL's tables bring root's password of then, and this host has another secret; of MariaDB's users root is left out.
own_password() {
  if [ "${sql##*/}" = mariadb ]; then return; fi
  password="$(printf %s "${MYSQL_PWD-}" | sed "s/[\\\\']/\\\\&/g")"
  for host in localhost "${MYSQL_ROOT_HOST:-%}"; do
    echo "ALTER USER IF EXISTS 'root'@'$host' IDENTIFIED BY '$password';"
  done
}

# From elsewhere: into the database that the image has made, unless it names others. What it says are users that do not
# exist here, and whose views, triggers and routines therefore do not run.
accept() {
  ready
  base="${MARIADB_DATABASE:-${MYSQL_DATABASE-}}"
  $sql $own --binary-mode ${base:+"--database=$base"} <"$PIPE" || exit 1
  exec $sql $own --batch --skip-column-names <<'END'
SELECT DISTINCT definer FROM (
  SELECT definer FROM information_schema.views UNION SELECT definer FROM information_schema.routines
  UNION SELECT definer FROM information_schema.triggers UNION SELECT definer FROM information_schema.events
) AS named WHERE definer NOT IN (SELECT CONCAT(user, '@', host) FROM mysql.user) ORDER BY 1;
END
}

# Each table with the number of its rows.
count() {
  ready
  $sql $own --batch --raw --skip-column-names <<'END' >/tmp/count.sql || exit 1
SELECT CONCAT('SELECT ', QUOTE(CONCAT(table_schema, ': ', table_name)), ', COUNT(*) FROM `',
  REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`;')
FROM information_schema.tables WHERE table_type = 'BASE TABLE'
  AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
ORDER BY table_schema, table_name;
END
  exec $sql $own --batch --raw --skip-column-names </tmp/count.sql
}

# Who has begun a transaction cannot commit it any more; a user with the right SUPER (of MySQL, CONNECTION_ADMIN) can.
hold() {
  sql="$(program mariadb mysql)" || exit
  exec $sql $own --execute="SET SESSION lock_wait_timeout = $GRACE; SET GLOBAL read_only = 1"
}

held() {
  sql="$(program mariadb mysql)" || exit
  said="$($sql $own --batch --skip-column-names --execute="SHOW GLOBAL VARIABLES LIKE 'read_only'")" || exit 1
  case "$said" in *OFF) echo off ;; *) echo on ;; esac
}

release() {
  ready
  exec $sql $own --execute='SET GLOBAL read_only = 0'
}

# For smoke tests. In binary mode the client has no commands such as \! of its own: all is SQL.
ask() {
  sql="$(program mariadb mysql)" || exit
  base="${BASE:-${MARIADB_DATABASE:-${MYSQL_DATABASE-}}}"
  limit="max_execution_time=${LIMIT}000"
  case "$sql" in *mariadb) limit="max_statement_time=$LIMIT" ;; esac
  printf '%s;\n' 'SET SESSION TRANSACTION READ ONLY' "SET SESSION $limit" "$QUERY" |
    $sql $own --binary-mode --default-character-set=utf8mb4 --connect-timeout="$LIMIT" \
      --batch --raw --skip-column-names ${base:+"--database=$base"}
}
