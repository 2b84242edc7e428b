"""What lies in each job of this scenario; the forms are those of scenario backup."""

from __future__ import annotations

from backup.tests.engines import (
    FILL_CACHE,
    LOSE_SHOP,
    OBJECTS,
    SHOW_CACHE,
    SHOW_OBJECTS,
    STRANGE,
    Engine,
    inside,
)

# Redis: what Valkey has.

REDIS = "sh -c 'REDISCLI_AUTH=$(cat /run/secrets/password) exec redis-cli{}'"
CACHE = Engine(
    "cache/cache",
    inside("cache", "cache", REDIS.format("")) + FILL_CACHE + "END",
    inside("cache", "cache", REDIS.format(" --raw --eval /dev/stdin")) + SHOW_CACHE + "END",
    inside("cache", "cache", REDIS.format("")) + "FLUSHALL\nSET later 1\nEND",
    "redis-cli SET key:250 x",
)

# MySQL: what MariaDB has, by its own words.

LOGIN = "MYSQL_PWD=$(cat /run/secrets/root_password) exec mysql -uroot -N"
MYSQL = f"sh -c '{LOGIN} --default-character-set=utf8mb4{{}}'"
LOSE = LOSE_SHOP.replace(" empty;", " `empty`;")  # a reserved word here
FILL_SHOP = f"""
CREATE DATABASE {STRANGE}; CREATE DATABASE `empty`;
CREATE USER 'grün'@'%' IDENTIFIED BY 'q''uo"te'; GRANT SELECT ON shop.* TO 'grün'@'%';
USE shop;
CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note TEXT, raw BLOB, at DATETIME(6), more JSON);
INSERT INTO shop.orders (note, raw, at, more)
  WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 500)
  SELECT CONCAT('Käse\\t\\n\\\\ 🧀', REPEAT('é', seq % 7)), UNHEX(CONCAT(SHA2(seq, 256), '00FF270A5C')),
    TIMESTAMP '2026-01-01 00:00:00.000001' + INTERVAL seq HOUR, JSON_OBJECT('é', seq) FROM n;
{OBJECTS}"""
SHOW_SHOP = f"""
SHOW DATABASES;
SELECT user, host, plugin, HEX(authentication_string) FROM mysql.user WHERE user <> 'root' ORDER BY 1, 2;
SELECT grantee, table_schema, privilege_type FROM information_schema.schema_privileges ORDER BY 1, 2, 3;
SELECT id, note, HEX(raw), at, more FROM shop.orders ORDER BY id;
{SHOW_OBJECTS}"""
SHOP = Engine(
    "shop/db",
    inside("shop", "db", MYSQL.format("")) + LOSE + FILL_SHOP + "END",
    inside("shop", "db", MYSQL.format(" --force")) + SHOW_SHOP + "END\ntrue",
    inside("shop", "db", MYSQL.format("")) + LOSE + "CREATE DATABASE later;\nEND",
    """mysql --host=127.0.0.1 --user=root -e "UPDATE shop.orders SET note = 'x' WHERE id = 251" """,
)


def with_root_password(password: str) -> str:
    """Script that changes it in the database, to log in with what the secret says by then."""
    users = ", ".join(f"root@'{host}' IDENTIFIED BY '{password}'" for host in ("localhost", "%"))
    return inside("shop", "db", MYSQL.format("")) + f"ALTER USER {users};\nEND"


ENGINES = {each.job: each for each in (CACHE, SHOP)}
