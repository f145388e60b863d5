"""OpenStack Swift behind its S3 API, all of it in one process on loopback: a bucket as a provider has it.

usage: bucket.py FOLDER CERTIFICATE KEY      prints its port, and serves until it is ended

Three storage servers over one disk, and the proxy before them, over TLS: this Swift takes no uploads that are signed
in chunks, which is how S3 clients upload without TLS. The access key is `pi:backup`, the secret `over-the-sea`.
"""

import os
import sys

import eventlet
import eventlet.wsgi
from swift.common import utils

utils.eventlet_monkey_patch()
home, certificate, key = sys.argv[1:]

SWIFT = """[swift-hash]
swift_hash_path_suffix = bucket
[storage-policy:0]
name = one
default = yes
"""
SERVER = """[DEFAULT]
swift_dir = {home}
devices = {home}/disks
mount_check = false
fallocate_reserve = 0
"""
STORAGE = SERVER + """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
# The cache is asked for by tempauth and may be away, as memcached may be in earnest.
PROXY = SERVER + """[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_pi_backup = over-the-sea .admin
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


def write(name, text):
    path = os.path.join(home, name)
    with open(path, "w") as file:
        file.write(text)
    return path


write("swift.conf", SWIFT)
os.makedirs(os.path.join(home, "disks", "disk"))
utils.set_swift_dir(home)

# These read the file that was just written.
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.storage_policy import reload_storage_policies  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

reload_storage_policies()
sockets = {}
for kind in ("account", "container", "object"):
    sockets[kind] = eventlet.listen(("127.0.0.1", 0))
    ring = RingBuilder(1, 1, 0)
    port = sockets[kind].getsockname()[1]
    ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": port, "device": "disk"})
    ring.rebalance()
    ring.get_ring().save(os.path.join(home, kind + ".ring.gz"))
plain = eventlet.listen(("127.0.0.1", 0))
port = plain.getsockname()[1]
sockets["proxy"] = eventlet.wrap_ssl(plain, certfile=certificate, keyfile=key, server_side=True)
servers = []
for kind, socket in sockets.items():
    text = (PROXY if kind == "proxy" else STORAGE).format(home=home, kind=kind)
    app = loadapp(write(kind + ".conf", text))
    servers.append(eventlet.spawn(eventlet.wsgi.server, socket, app, log_output=False))
print(port, flush=True)
for server in servers:
    server.wait()
