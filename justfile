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

# All that is measured, under 10 minutes on a quiet machine: the pipeline's speed and memory, next to pgbench where it
# is installed; claims over 10 million finished rows; reading bodies and texts. `just bench --quick` only tries it out.
bench *options:
    cargo bench --bench pipeline --bench claim_flat --bench normalise --bench classify -- {{options}}

# Faults at full size: kill -9, PostgreSQL and vendors away, full disks, frozen
# daemons, clocks that are set. Chance is seeded: DF_FAULTS_SEED.
faults:
    DF_FAULTS=long cargo test --release --test it faults:: -- --nocapture --test-threads=1

# The whole product on this machine, against simulated vendors.
dev:
    cargo run --release -- dev

# What CI does, tools included.
ci:
    .ci/run
