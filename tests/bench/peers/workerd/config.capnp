# The worker keeps its objects on local disk. The address and the directory come from the command line:
# --socket-addr=http=127.0.0.1:PORT --directory-path=disk=PATH.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "objects", worker = .objects),
    (name = "disk", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "objects")],
);

const objects :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [
    (className = "Counter", uniqueKey = "bench-counter", enableSql = true),
    (className = "Limiter", uniqueKey = "bench-limiter", enableSql = true),
    (className = "Users", uniqueKey = "bench-users", enableSql = true),
    (className = "Batch", uniqueKey = "bench-batch", enableSql = true),
    (className = "Entries", uniqueKey = "bench-entries", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "counters", durableObjectNamespace = "Counter"),
    (name = "limiters", durableObjectNamespace = "Limiter"),
    (name = "users", durableObjectNamespace = "Users"),
    (name = "batches", durableObjectNamespace = "Batch"),
    (name = "entries", durableObjectNamespace = "Entries"),
  ],
);
