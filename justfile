# What people type; what CI runs is the same (`.ci/run` calls the same script).

# Everything that must be green: fmt, clippy, rustdoc, tests, deny, machete.
check:
    .ci/check

# The quick part of `check`, while writing.
lint:
    .ci/check fmt clippy doc

# Unit and integration tests, on a throwaway PostgreSQL of their own.
test:
    cargo test

# Faults at full size: kill -9, PostgreSQL and vendors away, full disks, frozen
# daemons, clocks that are set. Chance is seeded: DF_FAULTS_SEED.
faults:
    DF_FAULTS=long cargo test --release --test it faults:: -- --nocapture --test-threads=1

# The pipeline's speed and memory, next to pgbench where it is installed.
bench:
    cargo bench --bench pipeline

# The whole product on this machine, against simulated vendors.
dev:
    cargo run --release -- dev

# What CI does, tools included.
ci:
    .ci/run
