//! The judges are judged: each kind of wrong must be noticed.

use anyhow::Result;
use rusqlite::Connection;

use crate::{
    checks,
    house::{Left, run},
    plans::short_day,
};

/// Something done to what a run has left.
type Wrong = fn(&mut Left) -> Result<()>;

#[test]
fn what_is_wrong_is_noticed() {
    let wrongs: [(&str, Wrong); 9] = [
        ("acknowledged and not stored", |left| {
            sql(left, "DELETE FROM batch WHERE sequence = (SELECT max(sequence) FROM batch)")
        }),
        ("are missing, and no gap says so", |left| {
            left.trace.retain(|line| !line.contains("answered epoch"));
            sql(left, "DELETE FROM batch WHERE sequence = 3")
        }),
        ("results in the log", |left| sql(left, "DELETE FROM result WHERE id = 5")),
        ("results in the log", |left| {
            sql(
                left,
                "CREATE TEMP TABLE again AS SELECT * FROM result WHERE id = 5;
                 UPDATE again SET id = id + 100000;
                 INSERT INTO result SELECT * FROM again",
            )
        }),
        ("said to be lost", |left| {
            let again = left.trace.iter().find(|line| line.contains(" checked ")).cloned();
            left.trace.splice(left.trace.len() - 20..left.trace.len() - 20, again);
            Ok(())
        }),
        ("was not taken by the receiver", |left| {
            left.pages.pop();
            Ok(())
        }),
        ("a page that nobody owes", |left| {
            let page = left
                .pages
                .first()
                .cloned()
                .map(|page| crate::others::Page { id: "msg_x".to_owned(), ..page });
            left.pages.extend(page);
            Ok(())
        }),
        ("while the server was well", |left| {
            left.plan.timeline.clear();
            Ok(())
        }),
        ("was not paged by", |left| {
            left.plan.page_within = std::time::Duration::from_secs(1);
            Ok(())
        }),
    ];
    let whole = run(short_day(0)).unwrap();
    checks::all(&whole).unwrap();
    for (told, wrong) in wrongs {
        let mut left = whole.copy().unwrap();
        checks::all(&left).unwrap();
        wrong(&mut left).unwrap();
        let noticed = checks::all(&left).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(noticed.contains(told), "wanted {told:?}, found {noticed:?}");
    }
}

fn sql(left: &Left, statement: &str) -> Result<()> {
    let database = Connection::open(left.database())?;
    database.execute_batch(statement)?;
    anyhow::ensure!(database.changes() > 0, "nothing was changed");
    Ok(())
}
