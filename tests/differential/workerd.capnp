# Two workers have the same code. In "deletes" deleteAll() also deletes the alarm, which is the default since the
# compatibility date 2026-02-24; in "keeps" it leaves the alarm alone. The operating system chooses the ports, and the
# caller the directory: --directory-path=disk=PATH.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "deletes", worker = .deletes),
    (name = "keeps", worker = .keeps),
    (name = "disk", disk = (writable = true)),
  ],
  sockets = [
    (name = "deletes", address = "127.0.0.1:0", http = (), service = "deletes"),
    (name = "keeps", address = "127.0.0.1:0", http = (), service = "keeps"),
  ],
);

const deletes :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [(className = "Probe", uniqueKey = "differential-deletes", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [(name = "objects", durableObjectNamespace = "Probe")],
);

const keeps :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-02-23",
  durableObjectNamespaces = [(className = "Probe", uniqueKey = "differential-keeps", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [(name = "objects", durableObjectNamespace = "Probe")],
);
