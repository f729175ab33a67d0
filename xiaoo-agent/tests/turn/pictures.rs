//! Pictures: sent to models that can see, named to those that can't.

use std::fs;
use std::path::Path;

use model_sim::{ModelSim, Script};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use xiaoo_agent::{Image, Message, Workspace};

use crate::common::{model_at, start};
use crate::harness::Run;

const PNG: &str = "image/png";

#[tokio::test]
async fn a_model_that_can_see_gets_the_picture() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.png"), "AB").unwrap();
    let content = asked(directory.path(), true, vec![image("a.png", PNG)]).await;
    assert_eq!(
        content,
        json!([
            {"type": "text", "text": "look\n\n[image a.png]"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUI="}},
        ])
    );
}

#[tokio::test]
async fn what_can_not_be_shown_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(outside.path().join("secret.png"), "AB").unwrap();
    fs::write(path.join("a.png"), "AB").unwrap();
    fs::write(path.join("fits.png"), vec![0; 5 << 20]).unwrap();
    fs::write(path.join("large.png"), vec![0; (5 << 20) + 1]).unwrap();
    fs::create_dir(path.join("folder.png")).unwrap();
    // It has no end before somebody writes to it.
    let (pipe, mode) = (path.join("pipe.png"), Mode::RWXU);
    mknodat(CWD, pipe, FileType::Fifo, mode, 0).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(outside.path().join("secret.png"), path.join("link.png")).unwrap();
    let outside = outside.path().join("secret.png").display().to_string();
    let cases = [
        (true, "gone.png", PNG, "no longer there"),
        (true, "large.png", PNG, "too large"),
        (true, "folder.png", PNG, "not a file"),
        (true, "pipe.png", PNG, "not a file"),
        (true, "a.png", "image/tiff", "not a kind of picture"),
        (true, "link.png", PNG, "not a file of the workspace"),
        (true, &outside, PNG, "not a file of the workspace"),
        (false, "a.png", PNG, "you can't see pictures"),
    ];
    for (vision, file, kind, why) in cases {
        let content = asked(path, vision, vec![image(file, kind)]).await;
        let text = content.as_str().unwrap();
        assert!(text.contains(&format!("[image {file}: ")), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let content = asked(path, true, vec![image("fits.png", PNG)]).await;
    assert!(content[1]["image_url"]["url"].is_string());
}

#[tokio::test]
async fn only_the_newest_pictures_are_sent() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..8).map(|n| format!("{n}.png")).collect();
    for name in &names {
        fs::write(directory.path().join(name), name).unwrap();
    }
    let images = names.iter().map(|name| image(name, PNG)).collect();
    let content = asked(directory.path(), true, images).await;
    let parts = content.as_array().unwrap();
    let shown = parts.iter().filter(|part| part["type"] == "image_url");
    assert_eq!(shown.count(), 6);
    let first = parts[0]["text"].as_str().unwrap();
    assert!(first.contains("[image 1.png: an older file"), "{first}");
    assert!(first.ends_with("[image 2.png]"), "{first}");
}

#[tokio::test]
async fn pictures_of_earlier_turns_are_still_there() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.png"), "AB").unwrap();
    let sim = start().await;
    sim.script(Script::Answer("a cat".into()));
    let mut run = Run::new("what colour was it?");
    run.history = vec![
        with_images(vec![image("a.png", PNG)]),
        Message::assistant("nice"),
    ];
    run.workspace = Some(Workspace::open(directory.path()).unwrap());
    run.run_on(&seeing(&sim, true).into()).await.unwrap();
    let sent = &sim.requests()[0].body["messages"][0]["content"][1];
    assert_eq!(sent["image_url"]["url"], "data:image/png;base64,QUI=");
}

/// The content of the user message that a server gets.
async fn asked(root: &Path, vision: bool, images: Vec<Image>) -> Value {
    let sim = start().await;
    sim.script(Script::Answer("seen".into()));
    let mut run = Run::new("");
    run.user = with_images(images);
    run.workspace = Some(Workspace::open(root).unwrap());
    run.run_on(&seeing(&sim, vision).into()).await.unwrap();
    sim.requests()[0].body["messages"][0]["content"].clone()
}

fn seeing(sim: &ModelSim, vision: bool) -> xiaoo_agent::Model {
    model_at(&sim.base_url(), |config| config.vision = vision)
}

fn with_images(images: Vec<Image>) -> Message {
    Message::User {
        content: "look".into(),
        images,
        again: false,
    }
}

fn image(path: &str, media_type: &str) -> Image {
    Image {
        path: path.into(),
        media_type: media_type.into(),
    }
}
