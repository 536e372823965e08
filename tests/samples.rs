//! Public sample logs, unchanged, through the feeds. They are not part of the repository: docs/samples.md says where they come
//! from and what becomes of them, and `KEYWATCH_SAMPLES` names the directory in which those repositories lie.

use std::path::{Path, PathBuf};

use crate::support::command::{err, keywatch, out};

/// Feed, place, and how many of how many records are understood, with the share; all of them are accepted.
const SAMPLES: [(&str, &str, usize, &str); 4] = [
    ("cloudtrail", "stratus-red-team/docs/detonation-logs", 310, "understood 31 10.0 %"),
    ("cloudtrail", "aws_dataset/CloudTrail", 2900, "understood 169 5.8 %"),
    ("cloudtrail", "suzaku-sample-data/SANS-504-S3-ransomware-lab", 30_476, "understood 35 0.1 %"),
    ("okta", "examples/mappings/markdown/Okta/v1.3.0/System Logs", 6, "understood 6 100.0 %"),
];

/// A directory as it is, or the `*.raw` of the directories in it, beside which what others make of them lies.
fn files(place: &Path) -> Vec<PathBuf> {
    let listed = |directory: &Path| -> Vec<PathBuf> {
        let entries = directory.read_dir().into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let raw = listed(place).into_iter().flat_map(|directory| listed(&directory.join("samples")));
    let raw: Vec<PathBuf> = raw.filter(|file| file.extension().is_some_and(|end| end == "raw")).collect();
    if raw.is_empty() { vec![place.to_owned()] } else { raw }
}

#[test]
#[ignore = "the samples are other people's, and not here"]
#[expect(clippy::print_stdout, reason = "the shares are what somebody wants to see")]
fn public_samples_go_through_unchanged() {
    let directory = std::env::var_os("KEYWATCH_SAMPLES").expect("docs/samples.md says what to set");
    let directory = PathBuf::from(directory).canonicalize().unwrap();
    for (feed, place, records, understood) in SAMPLES {
        let files = files(&directory.join(place));
        let mut arguments = vec!["import", "--feed", feed, "--system", "cold", "--dry-run"];
        arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
        let done = keywatch(&directory, &arguments, b"");
        println!("{place}\n{}\n", out(&done));
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        let said: Vec<String> =
            out(&done).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for wanted in [format!("accepted {records} 100.0 % not rejected"), format!("{understood} became events")] {
            assert!(said.contains(&wanted), "{place}: {wanted}: {said:?}");
        }
    }
}
