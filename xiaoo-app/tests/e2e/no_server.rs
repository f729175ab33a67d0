//! A PostgreSQL store that can't be opened: what is wrong, and the next step. And one that falls
//! ill for a while.

use xiaoo_store::StoreUrl;

use crate::harness::daemon::PLANTED;
use crate::harness::{Rig, Setup};
use crate::server::{Cluster, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_names_the_next_step() {
    let cluster = Cluster::shared();
    let url = cluster.new_url().await;
    let admin = connect(&url).await;
    let roles = format!(
        "CREATE ROLE guarded LOGIN PASSWORD '{}'; CREATE ROLE guest LOGIN",
        PLANTED[1]
    );
    admin.batch_execute(&roles).await.unwrap();
    let database = url.rsplit('/').next().unwrap();
    let grant = format!("GRANT CREATE ON DATABASE {database} TO guarded");
    admin.batch_execute(&grant).await.unwrap();
    let newer = cluster.new_url().await;
    let sql = "CREATE SCHEMA xiaoo; CREATE TABLE xiaoo.version AS SELECT 99::bigint AS version";
    connect(&newer).await.batch_execute(sql).await.unwrap();

    let as_user = |user: &str| url.replace("//xiaoo@", &format!("//{user}@"));
    let by_variable = "password_env = \"E2E_PASSWORD\"";
    for (name, url, more, said) in [
        (
            "no server",
            "postgres://xiaoo@%2Fnonexistent/xiaoo".to_owned(),
            "",
            ["error connecting to server", "check that the server runs"],
        ),
        (
            "a wrong password",
            as_user("guarded:planted-and-wrong"),
            "",
            ["password authentication failed", "password_env"],
        ),
        (
            "no password",
            as_user("guarded"),
            "",
            ["password missing", "password_env"],
        ),
        (
            "no database",
            cluster.url("nowhere"),
            "",
            ["\"nowhere\" does not exist", "CREATE DATABASE"],
        ),
        (
            "no rights",
            as_user("guest"),
            "",
            ["permission denied", "GRANT CREATE ON DATABASE"],
        ),
        (
            "a newer version's tables",
            newer,
            "",
            ["schema 99", "use the newer version"],
        ),
    ] {
        let mut rig = with(&url, more).await;
        rig.spawn();
        assert_eq!(rig.daemon.ended().await, Some(1), "{name}");
        let log = rig.log();
        for words in said {
            assert!(log.contains(words), "{name}: {words:?} is not in\n{log}");
        }
        assert!(!log.contains("planted"), "{name}:\n{log}");
        let shown = url.parse::<StoreUrl>().unwrap().to_string();
        assert!(log.contains(&shown), "{name}:\n{log}");
    }
    // With the password from the environment it works, and nobody sees it.
    let mut rig = with(&as_user("guarded"), by_variable).await;
    rig.start_daemon().await;
    let asked = rig.says("hello");
    rig.answer_to(&asked).await;
    assert!(!rig.log().contains(PLANTED[1]));
    let (_, ready) = rig.get("/api/v1/ready").await.unwrap();
    assert!(!ready.contains(PLANTED[1]), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_a_few_writes_holds_no_conversation_up() {
    let url = Cluster::shared().new_url().await;
    let mut rig = with(&url, "").await;
    rig.start_daemon().await;
    rig.answer_to(&rig.says("hello")).await;
    // Its disk fails whenever a row is noted as sent, a few times: a number that is drawn stays
    // drawn when its transaction is undone.
    let sql = "CREATE SEQUENCE xiaoo.tries;
        CREATE FUNCTION xiaoo.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('xiaoo.tries') <= 3 THEN
                RAISE EXCEPTION 'could not write' USING ERRCODE = '58030';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON xiaoo.outbox FOR EACH ROW
        WHEN (NEW.state = 'done') EXECUTE FUNCTION xiaoo.refuse()";
    connect(&url).await.batch_execute(sql).await.unwrap();
    for said in ["one", "two"] {
        let answers = rig.answers_to(&rig.says(said)).await;
        assert_eq!(answers.len(), 1, "{said}");
    }
    let log = rig.log();
    assert!(log.contains("could not be updated, trying again"), "{log}");
}

async fn with(url: &str, more: &'static str) -> Rig {
    Rig::without_daemon(Setup {
        store: Some(url.to_owned()),
        more,
        ..Setup::default()
    })
    .await
}
