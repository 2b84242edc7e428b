"""What lies in each job, how all of it is shown and lost, and how one row, key or file of it is altered."""

from __future__ import annotations

from typing import NamedTuple

from testinfra.host import Host

MEDIA = "/srv/stacks/files/data/media"
UPLOADS = "/var/lib/docker/volumes/files_uploads/_data"


class Engine(NamedTuple):
    """Scripts for a shell on the host. `spoil` is for `drover verify --spoil`."""

    job: str
    fill: str
    show: str
    lose: str
    spoil: str

    @property
    def stack(self) -> str:
        return self.job.partition("/")[0]

    def content(self, host: Host) -> str:
        """Everything, in an order of its own."""
        return str(host.check_output(self.show))


def inside(stack: str, service: str, program: str) -> str:
    """The program in the service's container; its standard input is a here-document, to `END`."""
    labels = {"project": stack, "service": service, "oneoff": "False"}
    filters = " ".join(f"-f label=com.docker.compose.{key}={value}" for key, value in labels.items())
    return f"docker exec -i $(docker ps -q {filters}) {program} <<'END'\n"


# PostgreSQL: a database whose name has to be quoted, an empty one, roles, binary, unicode, a large object.

PSQL = "psql -U ledger -v ON_ERROR_STOP=1 -qAt"
ODD = '"odd ""name"" größe"'
LOSE_LEDGER = f"""
DROP TABLE IF EXISTS bookings; DROP FUNCTION IF EXISTS doubled;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
DROP DATABASE IF EXISTS {ODD}; DROP DATABASE IF EXISTS empty; DROP DATABASE IF EXISTS later;
DROP ROLE IF EXISTS "Größe & Co"; DROP ROLE IF EXISTS readers;
DELETE FROM items;
"""
FILL_LEDGER = f"""
CREATE ROLE readers;
CREATE ROLE "Größe & Co" LOGIN PASSWORD 'q''uo"te' IN ROLE readers;
CREATE DATABASE {ODD} OWNER "Größe & Co";
CREATE DATABASE empty;
CREATE TABLE bookings (id serial PRIMARY KEY, note text, raw bytea, at timestamptz);
INSERT INTO bookings (note, raw, at)
  SELECT E'Käse\\t\\n\\\\ 🧀' || repeat('é', n % 7), decode(md5(n::text), 'hex') || '\\x00ff270a5c'::bytea,
    timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' FROM generate_series(1, 500) AS n;
GRANT SELECT ON bookings TO readers;
CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
SELECT lo_from_bytea(4711, '\\x0001020304');
INSERT INTO items (name) VALUES ('first'), ('Zweites 🧀');
\\connect {ODD}
CREATE TABLE "select" (key text PRIMARY KEY);
INSERT INTO "select" VALUES ('it''s "odd"');
"""
SHOW_LEDGER = f"""
SELECT datname, pg_get_userbyid(datdba) FROM pg_database ORDER BY 1;
SELECT rolname, rolsuper, rolcanlogin, rolpassword FROM pg_authid
  WHERE rolname !~ '^pg_' AND rolname <> 'ledger' ORDER BY 1;
SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid > 16000 ORDER BY 1, 2;
SELECT loid, data FROM pg_largeobject ORDER BY 1, pageno;
SELECT id, name, added FROM items ORDER BY 1;
SELECT * FROM bookings ORDER BY id;
SELECT last_value FROM bookings_id_seq;
SELECT relacl, doubled(21) FROM pg_class WHERE relname = 'bookings';
\\connect {ODD}
SELECT * FROM "select";
"""
LEDGER = Engine(
    "ledger/db",
    inside("ledger", "db", PSQL) + LOSE_LEDGER + FILL_LEDGER + "END",
    inside("ledger", "db", PSQL.replace(" -v ON_ERROR_STOP=1", "")) + SHOW_LEDGER + "END\ntrue",
    inside("ledger", "db", PSQL) + LOSE_LEDGER + "CREATE DATABASE later;\nEND",
    """psql -d ledger -c "UPDATE bookings SET note = 'x' WHERE id = (SELECT min(id) + 250 FROM bookings)" """,
)

# MariaDB: the same, and what else it keeps beside tables.

LOGIN = "MYSQL_PWD=$(cat /run/secrets/root_password) exec mariadb -uroot -N"
MARIADB = f"sh -c '{LOGIN} --default-character-set=utf8mb4'"
STRANGE = "`odd ``name`` größe`"
LOSE_SHOP = f"""
DROP DATABASE shop; CREATE DATABASE shop;
DROP DATABASE IF EXISTS {STRANGE}; DROP DATABASE IF EXISTS empty; DROP DATABASE IF EXISTS later;
DROP USER IF EXISTS 'grün'@'%';
"""
OBJECTS = f"""CREATE VIEW shop.many AS SELECT count(*) AS number FROM shop.orders;
CREATE TRIGGER shop.checked BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.note = TRIM(NEW.note);
CREATE PROCEDURE shop.doubled(n INT) SELECT 2 * n;
CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO DELETE FROM shop.orders WHERE id < 0;
CREATE TABLE {STRANGE}.`select` (`key` VARCHAR(40) PRIMARY KEY);
INSERT INTO {STRANGE}.`select` VALUES ('it''s "odd" 🧀');
"""
SHOW_OBJECTS = f"""SELECT number FROM shop.many;
SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = 'shop';
SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'shop';
SELECT event_name, event_definition, status FROM information_schema.events;
SELECT * FROM {STRANGE}.`select`;
"""
FILL_SHOP = f"""
CREATE DATABASE {STRANGE}; CREATE DATABASE empty;
CREATE USER 'grün'@'%' IDENTIFIED BY 'q''uo"te'; GRANT SELECT ON shop.* TO 'grün'@'%';
CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note TEXT, raw BLOB, at DATETIME(6));
INSERT INTO shop.orders (note, raw, at)
  SELECT CONCAT('Käse\\t\\n\\\\ 🧀', REPEAT('é', seq % 7)), UNHEX(CONCAT(MD5(seq), '00FF270A5C')),
    TIMESTAMP '2026-01-01 00:00:00.000001' + INTERVAL seq HOUR FROM shop.seq_1_to_500;
{OBJECTS}"""
SHOW_SHOP = f"""
SHOW DATABASES;
SELECT user, host, JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv
  WHERE user <> 'healthcheck' ORDER BY 1, 2;  -- whose password the image makes
SELECT grantee, table_schema, privilege_type FROM information_schema.schema_privileges ORDER BY 1, 2, 3;
SELECT id, note, HEX(raw), at FROM shop.orders ORDER BY id;
{SHOW_OBJECTS}"""
SHOP = Engine(
    "shop/db",
    inside("shop", "db", MARIADB) + LOSE_SHOP + FILL_SHOP + "END",
    inside("shop", "db", MARIADB.replace("-N", "-N --force")) + SHOW_SHOP + "END\ntrue",
    inside("shop", "db", MARIADB) + LOSE_SHOP + "CREATE DATABASE later;\nEND",
    "mariadb --host=127.0.0.1 --user=root --skip-ssl"
    """ -e "UPDATE shop.orders SET note = 'x' WHERE id = 251" """,
)

# Valkey: every kind of value, binary keys, an end, several databases.

FILL_CACHE = """
FLUSHALL
SET greeting "Käse 🧀"
SET "bin\\x00\\xff" "\\x00\\xff\\r\\n"
SET session soon EX 864000
RPUSH list one two "drei 🧀"
SADD set b a c
HSET hash field value other "\\x01"
ZADD scores 1.5 low 20 high
XADD stream 1-1 field value
EVAL "for n = 1, 900 do redis.call('SADD', 'members', n); redis.call('HSET', 'fields', n, n) end" 0
EVAL "for n = 1, 3000 do redis.call('SADD', 'many', 'm' .. n); redis.call('RPUSH', 'long', n) end" 0
EVAL "for n = 1, 3000 do redis.call('ZADD', 'ranks', n / 7, 'r' .. n) end; redis.call('SREM', 'many', 'm7')" 0
EVAL "for n = 1, 500 do redis.call('SET', 'key:' .. n, redis.sha1hex(n)) end" 0
SELECT 3
SET third database
"""
SHOW_CACHE = """
local function hex(text)
  return (string.gsub(text, '.', function(each) return string.format('%02x', string.byte(each)) end))
end
local function flat(value)
  if type(value) ~= 'table' then return hex(tostring(value)) end
  local parts = {}
  for _, each in ipairs(value) do parts[#parts + 1] = flat(each) end
  return '(' .. table.concat(parts, ' ') .. ')'
end
local function pairs_of(value)
  local parts = {}
  for n = 1, #value, 2 do parts[#parts + 1] = value[n] .. '=' .. value[n + 1] end
  return parts
end
local read = {string = {'GET'}, list = {'LRANGE', 0, -1}, hash = {'HGETALL'}, set = {'SMEMBERS'},
  zset = {'ZRANGE', 0, -1, 'WITHSCORES'}, stream = {'XRANGE', '-', '+'}}
local lines = {}
for number = 0, 15 do
  redis.call('SELECT', number)
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    local words = {read[kind][1], key, unpack(read[kind], 2)}
    local value = redis.call(unpack(words))
    if kind == 'hash' then value = pairs_of(value) end
    if kind == 'hash' or kind == 'set' then table.sort(value) end
    local ends = redis.call('PEXPIRETIME', key)
    lines[#lines + 1] = table.concat({number, kind, hex(key), ends, flat(value)}, ' ')
  end
end
table.sort(lines)
return table.concat(lines, '\\n')
"""
CACHE = Engine(
    "cache/cache",
    inside("cache", "cache", "valkey-cli") + FILL_CACHE + "END",
    inside("cache", "cache", "valkey-cli --raw --eval /dev/stdin") + SHOW_CACHE + "END",
    inside("cache", "cache", "valkey-cli") + "FLUSHALL\nSET later 1\nEND",
    "valkey-cli SET key:250 x",
)

# A folder of files: names that are no UTF-8, links, owners, modes.

FILL_MEDIA = """
import os, random, shutil
top, chance = "%s", random.Random(7)
for each in os.scandir(top):
    shutil.rmtree(each.path) if each.is_dir(follow_symlinks=False) else os.unlink(each.path)
for number in range(2000):
    folder = f"{top}/Ordner {number %% 40} ü"
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/Bild {number} größe 🧀.jpg"
    with open(path, "wb") as file:
        file.write(chance.randbytes(number %% 3000))
    os.chown(path, 1000 + number %% 3, 1000)
    os.chmod(path, (0o600, 0o644, 0o4750, 0o400)[number %% 4])
    os.utime(path, ns=(0, 10**18 + number))
os.makedirs(f"{top}/empty")
os.symlink("Ordner 1 ü", f"{top}/link"), os.symlink("/nowhere", f"{top}/dangling")
os.link(f"{top}/Ordner 1 ü/Bild 1 größe 🧀.jpg", f"{top}/hard")
for odd in (b"line\\nbreak", b"not \\xff utf-8", b"-rf", b"$(reboot) '\\""):
    open(os.path.join(os.fsencode(top), odd), "wb").close()
"""
SHOW_FILES = """cd %s && (
find . ! -name '*.sqlite*' ! -type d -printf '%%y %%m %%U:%%G %%n %%T@ %%p -> %%l\\n' | sort
find . -type d -printf 'd %%m %%U:%%G %%p\\n' | sort
find . -type f ! -name '*.sqlite*' -print0 | sort -z | xargs -0r sha256sum
) | cat -v"""
FOLDER = Engine(
    "files/media",
    f"python3 - <<'END'\n{FILL_MEDIA % MEDIA}END\nchown 1234:4321 {MEDIA}; chmod 2751 {MEDIA}",
    SHOW_FILES % MEDIA,
    f"find {MEDIA} -mindepth 1 -delete; echo later >{MEDIA}/later; chown 0:0 {MEDIA}; chmod 700 {MEDIA}",
    "printf x >>'Ordner 10 ü/Bild 250 größe 🧀.jpg'",
)

# A volume: files, and what is in an SQLite database. Whatever the program writes meanwhile is another test's.

SQLITE = """
import sqlite3, sys
database = sqlite3.connect("%s/kept.sqlite")
database.executescript(sys.stdin.read())
print(*database.execute("SELECT * FROM kept ORDER BY id"), sep="\\n")
"""
FILL_SQLITE = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, text TEXT);
DELETE FROM kept;
WITH RECURSIVE n(id) AS (SELECT 1 UNION SELECT id + 1 FROM n WHERE id < 200)
  INSERT INTO kept SELECT id, 'é' || id FROM n;
"""
READ = f"python3 -c '{SQLITE % UPLOADS}'"
VOLUME = Engine(
    "files/uploads",
    f"""{READ} <<'END' >/dev/null
{FILL_SQLITE}END
cd {UPLOADS} && install -d -o 1000 -m 750 a && seq 9999 >a/numbers && chown 1000 a/* kept*""",
    f"{SHOW_FILES % UPLOADS}; {READ} </dev/null 2>&1 || true",
    f"rm -r {UPLOADS}/a {UPLOADS}/kept.sqlite*",
    f"echo 'DELETE FROM kept WHERE id = 7' | python3 -c '{SQLITE % '.'}'",
)

ENGINES = {each.job: each for each in (LEDGER, SHOP, CACHE, FOLDER, VOLUME)}
