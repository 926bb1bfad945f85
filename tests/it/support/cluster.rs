//! One throwaway cluster per test binary, one database per test, cloned from a
//! migrated template.

use df_middleware::embedded::throwaway::{Database, Throwaway};
use df_middleware::store::{Db, migrate};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Throwaway> = OnceCell::const_new();

async fn cluster() -> &'static Throwaway {
    CLUSTER
        .get_or_init(|| async {
            let cluster = Throwaway::start(false).await.unwrap();
            cluster
                .template(|config| async move {
                    let db = Db::new(config, 1).unwrap();
                    migrate(&db).await.unwrap();
                    db.close();
                    Ok::<(), std::convert::Infallible>(())
                })
                .await
                .unwrap();
            cluster
        })
        .await
}

/// A migrated database that nobody else uses.
pub async fn database() -> Database {
    cluster().await.create_database().await.unwrap()
}
