//! What each option is for: the table behind `fanfare options` and `docs/options.md`.
//!
//! It says what the doc comments of the configuration's structs say, which a running program cannot read.

/// Every option with its meaning, as a test holds; in the order in which the reference shows them.
pub(super) const DESCRIPTIONS: &[(&str, &str)] = &[
    (
        "listen",
        "Where the API listens. On this machine alone by default, since what guards it is a key sent in clear \
         text.",
    ),
    (
        "admin_listen",
        "Where metrics, health and readiness are served, without a key: keep it to networks that may see them.",
    ),
    (
        "data_dir",
        "The directory with the queue, the history and the keys; made at the first start, readable by its owner \
         alone.",
    ),
    (
        "api_key",
        "The first project's key, 8 to 256 printable ASCII characters without spaces. Empty: one is generated at \
         the first start and shown once.",
    ),
    (
        "admin_key",
        "The operator's key, which makes projects and keys; 16 to 256 printable ASCII characters without spaces. \
         Empty: nobody does, and the first project is the only one.",
    ),
    (
        "egress_allow",
        "Networks that webhooks of the first project may target although they are not public, over http too. None \
         by default: whoever may create webhooks could reach whatever this machine reaches.",
    ),
    (
        "encryption_key",
        "The key that seals secrets at rest: 32 bytes in base64, or `<id>:` and that. Empty: a key file in the \
         data directory, made at the first start.",
    ),
    ("log", "Which log lines are written: a level, or a list such as `warn,fanfare_delivery=debug`."),
    (
        "shutdown_grace",
        "How long stopping may take in all, 1 s to 10 min. The default is below the 30 s that container platforms \
         wait.",
    ),
    (
        "shutdown_delay",
        "How long a process that is asked to stop works on while it says that it is not ready, so that balancers and DNS \
         notice before it takes nothing new. Part of `shutdown_grace`, and shorter; up to 5 min. None by default, for processes without a \
         balancer.",
    ),
    (
        "server.max_connections",
        "Connections at a time, at least 1; further ones wait in the system's backlog. Default 4096: below the \
         usual limit of open files, with room for the connections to receivers.",
    ),
    (
        "server.header_timeout",
        "How long a client may take to send a request's header. A connection without a request is closed after \
         this time, or twice this time at the latest. Default 60 s: longer than the pauses of a busy client that \
         keeps connections.",
    ),
    (
        "server.body_timeout",
        "How long a client may take to send a request's body, all in all, and to take in the next piece of an \
         answer. Default 30 s: 8 MiB at 2.3 Mbit/s.",
    ),
    (
        "server.max_header_bytes",
        "The most bytes of a request's header, 8 KiB to 1 MiB. Default 64 KiB: room for binary mode with all 32 \
         extension attributes.",
    ),
    (
        "server.max_streams",
        "Requests at a time on one HTTP/2 connection, at least 1. Default 100: what RFC 9113 advises as the \
         least.",
    ),
    (
        "ingest.events_per_second",
        "Events per second that each project may send to this process on average, up to 1,000,000; beyond that \
         429. 0 = no limit. Default 10,000: one project alone cannot fill what a machine takes.",
    ),
    (
        "ingest.burst",
        "Events that a project may send at once after a pause, from 500 (one full batch) to 100,000,000. Default \
         20,000: two seconds' worth.",
    ),
    (
        "ingest.max_backlog",
        "Accepted events that may wait to be fanned out; beyond that 503. Default 100,000: some seconds of \
         fan-out's work, so that senders hear of a jam before it is hours long.",
    ),
    (
        "ingest.max_project_backlog",
        "Accepted events of one project that may wait to be fanned out in one partition (all with the same subject \
         are in one, and all without); beyond that 429. Up to 1,000,000; 0 = no bound. From a sixteenth of it on requests \
         wait for their place, half a second at most, and what the project published to NATS waits there. Default \
         500: a partition is one line, and whoever stands behind 32 in it waits some tens of milliseconds on a busy \
         machine.",
    ),
    (
        "ingest.max_body_bytes",
        "Bytes of request bodies in memory at a time, at least 8 MiB (one full batch); beyond that 503. A body \
         counts until its events are durable; what is made of it comes to about as much again. Default 256 MiB.",
    ),
    (
        "fanout.batch_events",
        "Most events matched at a time, 1 to 1000: more of them share a commit, fewer are held in memory. Default \
         256.",
    ),
    (
        "fanout.push_deliveries",
        "Most deliveries in one push, 1 to 10000. An event with more matches is pushed in several. Default 1000.",
    ),
    (
        "fanout.max_ready",
        "Ready deliveries above which fan-out pauses, so that the queue grows in the log of events, where it is cheap. \
         Below it fan-out holds each batch back, a second at most, while workers take deliveries that have been ready \
         for more than 0.1 s. Default 200000.",
    ),
    (
        "fanout.advance_every",
        "How long a position may lag behind its pushes, at most, and five times as long while they are fewer than 16; \
         after a crash that much is matched again, and recognised. Default 10ms: senders are held back by what no \
         position has passed.",
    ),
    (
        "delivery.max_in_flight",
        "How many leases a worker holds at once: being sent, waiting in lanes, or being settled. Default 1024; \
         with it goes memory, up to 256 KiB of body for each. While a quarter of them wait for the stores, to be claimed or \
         settled, no more are leased.",
    ),
    (
        "delivery.lease_batch",
        "How many deliveries are leased at once. Default 64; more would make the store's transactions long.",
    ),
    (
        "delivery.lane_limit",
        "How many requests one webhook gets at once at most. Default 32: enough for 1,600 a second at 20 ms each. How \
         many it does get is found out: from 8 on more while it takes them, fewer on timeouts, broken connections, 429, \
         502 to 504, and when answers become slower with more at once.",
    ),
    (
        "delivery.claim_ttl",
        "How long a claim holds. Default 45s: a request of the longest timeout, 30 s, and its settlement. At \
         least 35s, whatever is set.",
    ),
    (
        "delivery.dedup_on_unavailable",
        "What to do while the store of claims does not answer: \"deliver\" (the default: receivers recognise what \
         they get twice) or \"wait\".",
    ),
    (
        "delivery.max_releases",
        "How many gates are worked off at once, for each partition of gates. Default 16: each holds up to twice \
         `lane_limit` leases beside `max_in_flight`.",
    ),
    (
        "delivery.breaker_failures",
        "After how many failures in a row a webhook's breaker opens: then it is only probed. Default 10: a receiver that \
         restarts fails a few, one that is down fails all.",
    ),
    ("delivery.breaker_window", "The window over which the share of failures is looked at. Default 1m."),
    (
        "delivery.breaker_window_attempts",
        "How many attempts have to be in the window before their share says anything. Default 20.",
    ),
    (
        "delivery.breaker_percent",
        "The share of failures in the window, in percent, from which on the breaker opens. Default 50.",
    ),
    (
        "delivery.probe_first",
        "How long after opening the first probe is made; the intervals double. Default 1s: a receiver that only \
         restarted is hardly held up.",
    ),
    (
        "delivery.probe_longest",
        "The longest interval between probes. Default 20s: a receiver that is back has its deliveries within half a \
         minute, and one that is down gets three requests a minute.",
    ),
    (
        "delivery.pause_after",
        "How long a webhook may fail without a break before it is paused until it is activated. Default 5d.",
    ),
    (
        "delivery.hold_max_age",
        "How long a delivery stands behind its webhook's gate before it ends as expired. Default 30d: as long as \
         its event is kept, so that one that ends so can be replayed until about then.",
    ),
    (
        "delivery.expiry_interval",
        "How often the owner of gates looks for deliveries behind them whose time is over. Default 10s: a look costs \
         next to nothing, and nothing is sent past its expiry however seldom it is.",
    ),
    (
        "egress.ca_file",
        "PEM file of certificate authorities to trust besides the system's; empty (the default) for none. For \
         receivers whose certificates a company's own authority signs.",
    ),
    (
        "egress.connect_timeout",
        "How long connecting may take, name lookup and TLS included. Default 5s: a receiver that has not answered \
         a handshake by then is down, and the rest of the webhook's timeout would only hold its lane.",
    ),
    (
        "egress.dns_timeout",
        "How long one name lookup may take. Default 4s: below `connect_timeout`, so that a slow name server is \
         told apart from a receiver that does not accept connections.",
    ),
    (
        "egress.dns_lookups",
        "How many names may be looked up at once. Default 128: each occupies a thread while the system resolver \
         works on it.",
    ),
    (
        "egress.first_byte_timeout",
        "How long an answer's first byte may take, connecting included; 0s (the default) is off, and the \
         webhook's timeout alone bounds it.",
    ),
    (
        "egress.max_response_headers",
        "How many headers an answer may have. Default 100, more than any receiver has reason to send.",
    ),
    (
        "egress.max_response_header_bytes",
        "How many bytes an answer's headers may have in all. Default 65536; at most 8 KiB more \
         are read to find out.",
    ),
    (
        "egress.body_snippet_bytes",
        "How many bytes of an answer's body are read and kept for the delivery log. Default 16384; the connection \
         of an answer that goes on past them is closed.",
    ),
    (
        "egress.idle_connections_per_host",
        "How many idle connections are kept for each host. Default 32: as many as a webhook's lane uses at once.",
    ),
    (
        "egress.idle_timeout",
        "How long an idle connection is kept. Default 4s: below the 5 s after which common servers close theirs, \
         since a POST that meets the closing is lost and has to be tried again.",
    ),
    (
        "egress.policy_clients",
        "How many sets of connections are kept apart for projects with exceptions of their own. Default 64; the \
         one that was not used for longest makes room.",
    ),
    (
        "history.retention",
        "How long events that are done with, and their deliveries, are shown: counted from when the last of an \
         event's deliveries ended. 30 days, so that a month's report can still be looked into.",
    ),
    (
        "history.readers",
        "Queries that run at the same time; further ones wait. At least 1. 4, since each keeps a thread and up to \
         2 MiB of cached pages, and most take less than a millisecond.",
    ),
    (
        "console.max_body_bytes",
        "The most bytes of a request's body, 256 KiB by default: a webhook with 32 headers of its own and 100 \
         patterns needs some 100 KiB at the very most. What is larger is answered 413.",
    ),
    (
        "console.max_webhooks_per_project",
        "The most webhooks of one project, 100,000 by default: every process keeps each in memory, some KiB \
         apiece. Further ones are answered 409.",
    ),
    (
        "console.max_api_keys_per_project",
        "The most API keys of one project, 1000 by default: every process keeps each in memory, and each in use \
         is stored once a minute. Further ones are answered 409.",
    ),
    (
        "console.max_event_types_per_project",
        "The most event types of one project's own, 500 by default: every process keeps each in memory, with its \
         schema compiled and up to 128 KiB of schema and sample. Further ones are answered 409.",
    ),
    (
        "console.max_projects",
        "The most projects, 10,000 by default: every process keeps each in memory. Further ones are answered 409.",
    ),
    (
        "console.refresh_wait",
        "How long a read waits for this process's copy of the configuration to be as new as the store's, 5 s by \
         default. The copy is behind by milliseconds, or by as long as the store is away: then the answer is 503.",
    ),
    (
        "console.resolve_wait",
        "How long create and update wait for a webhook's host to be looked up, 2 s by default. It only decides \
         about a warning, and a resolver that is slower than this is one too.",
    ),
    (
        "console.max_tests_per_project",
        "How many test deliveries one project may have under way at a time, 4 by default: each may take as long \
         as the webhook's timeout. Further ones are answered 429.",
    ),
    (
        "console.sweep_every",
        "How often deletions that were interrupted are looked for and finished, 1 min by default. A look costs \
         one read of the two groups' revisions.",
    ),
    (
        "queue.lease",
        "How long a lease lasts unless it is renewed. Default 10s: three renewals of 3 s fit in, and what a \
         frozen worker held is taken up by another soon.",
    ),
    (
        "queue.writer_queue",
        "How many operations may wait for the writer; callers beyond that wait. Default 4096: several full \
         commits.",
    ),
    (
        "queue.commit_operations",
        "The most operations in one commit. Default 1000: more gains nothing over the cost of the sync.",
    ),
    (
        "queue.commit_bytes",
        "A commit takes no more operations once those in it carry this many bytes. Default 16777216 (16 MiB).",
    ),
    (
        "queue.window_items",
        "How many events, journal entries and deliveries, each, are kept in memory to be handed on without being \
         read back. Default 5000: several full commits. What does not fit is read from the file.",
    ),
    ("queue.window_bytes", "How many bytes each of these three windows may hold. Default 16777216 (16 MiB)."),
    (
        "queue.read_connections",
        "How many reads may use the file at once, beside the writer. Default 2: reads are short.",
    ),
    (
        "queue.cache_bytes",
        "SQLite's page cache for the writer, in bytes. Default 16777216 (16 MiB): holds the inner pages of every \
         index, and the leaves of recent deliveries. Most commits walk over all of it, so a larger one makes them slower.",
    ),
    (
        "queue.wal_bytes",
        "The write-ahead log is copied into the file when it has this many bytes. Default 33554432 (32 MiB): \
         pages that change in every commit are then copied once for many commits.",
    ),
    (
        "queue.event_retention",
        "How long events that have been fanned out are kept for retries and replays. Default 30d.",
    ),
    (
        "queue.done_retention",
        "How long a delivery that has ended is remembered, so that a late repetition of it is recognised. Default \
         24h.",
    ),
    (
        "queue.quarantine_after",
        "How often a delivery may be leased without being settled before it goes into quarantine. Default 20: a \
         worker that is killed or frozen costs one or a few. 1 or more.",
    ),
    ("queue.quarantine_retention", "How long what is in quarantine is kept there. Default 30d."),
    (
        "queue.maintenance_interval",
        "How often what is past its retention is removed. Default 1s: the journal grows with every settlement, so \
         that seldom would mean much at once.",
    ),
    (
        "queue.check_on_open",
        "Whether the file is checked for damage when it is opened. Default true; the check reads the whole file, \
         so that the time it takes grows with what is kept.",
    ),
    (
        "distributed.nats.urls",
        "The servers, comma-separated, such as `nats://10.0.0.1:4222,nats://10.0.0.2:4222`; `tls://` demands TLS. \
         Empty: the embedded engine is used.",
    ),
    (
        "distributed.nats.credentials_file",
        "A file with a user's JWT and nkey, as NATS' tools write it. Default empty: none.",
    ),
    ("distributed.nats.nkey_file", "A file with an nkey's seed. Default empty: none."),
    ("distributed.nats.user", "A user's name. Default empty: none."),
    ("distributed.nats.password", "That user's password. Default empty."),
    (
        "distributed.nats.ca_file",
        "A file with certificates (PEM) to trust instead of the system's. Default empty: none.",
    ),
    ("distributed.nats.cert_file", "A file with this client's certificate (PEM). Default empty: none."),
    ("distributed.nats.key_file", "A file with that certificate's key (PEM). Default empty: none."),
    ("distributed.nats.timeout", "How long one request may take. Default 5s."),
    (
        "distributed.redis.url",
        "One server: `redis://127.0.0.1:6379/0`. The master that Sentinels know by a name: \
         `redis+sentinel://host:26379,host:26379/name-of-the-master`. A cluster: \
         `redis+cluster://host:6379,host:6379`. With `rediss` instead of `redis`, TLS. Needed when \
         `distributed.nats.urls` is set.",
    ),
    ("distributed.redis.user", "An ACL user's name. Default empty: the one in the URL, or Redis' default user."),
    (
        "distributed.redis.password",
        "That user's password; without a user, the server's. Default empty: the one in the URL, or none.",
    ),
    ("distributed.redis.sentinel_user", "The user at the Sentinels themselves. Default empty: their default user."),
    ("distributed.redis.sentinel_password", "The password at the Sentinels themselves. Default empty: none."),
    (
        "distributed.redis.ca_file",
        "A file with certificates (PEM) to trust instead of the system's. Default empty: none.",
    ),
    (
        "distributed.redis.cert_file",
        "A file with this client's certificate (PEM), which Redis asks for unless told otherwise. Default empty: \
         none.",
    ),
    ("distributed.redis.key_file", "A file with that certificate's key (PEM). Default empty: none."),
    (
        "distributed.redis.timeout",
        "How long one operation may take. Default 1s: deliveries go on without Redis, and should not wait for \
         long.",
    ),
    (
        "distributed.prefix",
        "What the names of streams and buckets begin with; in lower case, what subjects and Redis keys begin \
         with. Letters, digits and `-`. Default `FANFARE`: two installations on one server need two prefixes.",
    ),
    (
        "distributed.replicas",
        "On how many servers of a NATS cluster each stream is kept, 1 to 5. Default 1: a single server has no \
         more; in a cluster 3 survives the loss of one.",
    ),
    (
        "distributed.apply",
        "Whether streams that are not as configured are changed at start. Default false: the start fails and says \
         what differs.",
    ),
    (
        "distributed.event_duplicate_window",
        "How long an event id is recognised as a repetition. Default 24h, which is what senders are promised.",
    ),
    (
        "distributed.duplicate_window",
        "How long a repeated move of a delivery, or a repeated journal entry, is recognised. Default 10m: longer \
         than any settlement is retried.",
    ),
    (
        "distributed.event_max_bytes",
        "How many bytes of events are kept; nothing more is accepted when they are used up by unprocessed events. \
         Default 4294967296 (4 GiB); 0 for no bound. Every kept event takes about 450 bytes of the NATS \
         server's memory beside it.",
    ),
    (
        "distributed.event_retention",
        "How long events that have been fanned out are kept for retries and replays. Default 30d.",
    ),
    (
        "distributed.delivery_high_water_bytes",
        "How many bytes of deliveries, gated ones included, there may be; pushes are refused beyond, since a full \
         store would keep schedules from firing. Default 8589934592 (8 GiB), twice what events may have; 0 for no \
         bound. A fifth of the server's store is to stay free beside this and the other bounds: with the defaults it \
         needs 19 GiB.",
    ),
    (
        "distributed.journal_max_bytes",
        "How many bytes the journal may have; the oldest entries go first. Default 2147483648 (2 GiB); 0 for no \
         bound.",
    ),
    (
        "distributed.journal_retention",
        "How long journal entries are kept. Default 7d: a read model that was away for longer has gaps.",
    ),
    (
        "distributed.intake_max_bytes",
        "How many bytes of events that producers published to NATS themselves may wait to be taken in; beyond that the server \
         refuses what they publish. Default 536870912 (512 MiB); 0 for no bound.",
    ),
    (
        "distributed.intake_max_messages_per_type",
        "How many of them may wait for each project and type; beyond that the server refuses what is published there. \
         Default 100000, 1 or more: one project alone does not take all of the room.",
    ),
    (
        "distributed.rejected_max_bytes",
        "How many bytes of rejected messages are kept for operators to see; the oldest go first. Default 268435456 \
         (256 MiB); 0 for no bound.",
    ),
    (
        "distributed.rejected_max_messages_per_project",
        "How many of them are kept for each project, 1 or more; its oldest go first. Default 1000: one project alone \
         does not take all of the room.",
    ),
    ("distributed.rejected_retention", "How long rejected messages are kept. Default 7d."),
    (
        "distributed.lease",
        "How long a lease on a delivery lasts unless it is renewed. Default 10s: three renewals of 3 s fit in.",
    ),
    (
        "distributed.overdue_after",
        "How long past its time a schedule is given before the delivery is moved by this engine, since the server \
         has not done so: it does not when the store was full at that time. Default 60s, 1s or more.",
    ),
    (
        "distributed.quarantine_after",
        "How often a delivery may be leased at one hop, without being settled, before it goes into quarantine. \
         Default 20: a worker that is killed or frozen costs one or a few. 1 or more.",
    ),
    ("distributed.quarantine_retention", "How long what is in quarantine is kept there. Default 30d."),
    (
        "distributed.quarantine_max_bytes",
        "How many bytes there may be in quarantine; the oldest go first. Default 268435456 (256 MiB); 0 for no \
         bound.",
    ),
    (
        "distributed.max_leased",
        "How many deliveries may be leased at once, over all processes. Default 100000; 1 or more.",
    ),
    (
        "distributed.partitions",
        "Into how many partitions events are divided, 1 to 512. Default 16: that many fan-outs can share the \
         work. It must be the same in every process, and stay as it is.",
    ),
    (
        "distributed.gate_partitions",
        "Into how many partitions gates are divided, 1 to 512. Default 64. It must be the same in every process, \
         and stay as it is.",
    ),
    (
        "distributed.partition_lease",
        "How long a process that is silent keeps its partitions. Default 5s, 500ms or more: a partition is taken \
         over within twice that.",
    ),
    ("distributed.publish_window", "How many published messages may wait for their acknowledgement. Default 4096."),
    (
        "distributed.done_retention",
        "How long a delivery that has ended is remembered, so that a late repetition of it is recognised. Default \
         24h.",
    ),
    (
        "distributed.gated_done_retention",
        "The same for one that ended behind its webhook's gate, of which a copy that a crash left may come up when \
         the webhook is activated. Default 30d; at least `delivery.hold_max_age`, whatever is set.",
    ),
    (
        "distributed.live_retention",
        "How long a delivery that has not ended is remembered by Redis after its last move. Default 35d: longer \
         than any delivery waits.",
    ),
];
