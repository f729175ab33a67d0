//! The platform's codes: what they mean and what helps.

/// What a caller can do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Wait as told, or a second, and try again.
    Slow,
    /// Try again soon.
    Retry,
    /// Fetch a new token and try once more.
    NewToken,
    /// The app's id, secret or settings are wrong: a person must act.
    Configuration,
    /// The message, chat or person is gone or may not be written to.
    TargetGone,
    /// There is no thread to write to: send it outside.
    NoThread,
    /// Feishu does not take this content: send it in another form.
    Content,
    /// The same request is under way or done.
    Done,
    /// The app lacks a right: it is granted in the console, in a new version.
    Scope,
    /// The file is too long.
    TooLarge,
    /// Nothing helps.
    Fail,
}

/// One code of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The number.
    pub code: i64,
    /// What to do.
    pub advice: Advice,
    /// What it means.
    pub meaning: &'static str,
}

/// Looks a code up. Unknown ones are not retried.
#[must_use]
pub fn lookup(code: i64) -> Option<&'static Code> {
    TABLE.iter().find(|known| known.code == code)
}

macro_rules! codes {
    ($($code:literal $advice:ident $meaning:literal;)*) => {
        &[$(Code { code: $code, advice: Advice::$advice, meaning: $meaning }),*]
    };
}

/// Codes that a bot meets, after the platform's error pages and reports from
/// live tenants.
pub const TABLE: &[Code] = codes! {
    1500 Retry "internal error";
    2200 Retry "internal error";
    5000 Retry "internal error";
    10003 Configuration "the app id or secret is missing or malformed";
    10005 Configuration "the app id or secret is wrong";
    10014 Configuration "the app id is unknown, the secret is wrong or the app is disabled";
    10015 Configuration "the app secret is wrong";
    11232 Slow "the system's send limit";
    11233 Slow "the group's send limit";
    41050 Scope "the person is outside the app's contact range: widen it in the console";
    200220 Content "the card's JSON cannot be built";
    200810 Retry "the card is being updated by a person's click";
    200860 Content "the card is larger than 30 KB";
    230001 Content "a parameter or the content is malformed";
    230002 TargetGone "the bot is not in the group";
    230006 Configuration "the bot ability is switched off";
    230011 TargetGone "the message was recalled";
    230013 TargetGone "the person is outside the app's availability";
    230018 TargetGone "the group's settings forbid it";
    230019 NoThread "the topic does not exist";
    230020 Slow "too fast for this person, group or message";
    230022 Content "the content was judged sensitive";
    230025 Content "the content is too long";
    230027 Fail "the bot lacks the permission";
    230028 Content "the content failed the data-leak audit";
    230029 TargetGone "the person has resigned";
    230031 TargetGone "the card is older than 14 days";
    230034 TargetGone "the receiver's id is invalid";
    230035 TargetGone "the bot is muted or blocked there";
    230038 TargetGone "direct messages across tenants are forbidden";
    230049 Retry "the message is being sent";
    230050 TargetGone "the message is invisible to the bot";
    230053 TargetGone "the person stopped messages from this bot";
    230054 Content "this message type is not supported here";
    230055 Content "the file does not fit the message type";
    230071 NoThread "the group has no threads";
    230072 NoThread "an aggregated message cannot be replied to in a thread";
    230075 TargetGone "a secret chat, or the time for edits is over";
    230099 Content "the card could not be made";
    230110 TargetGone "the message was deleted";
    230111 TargetGone "the message destroys itself";
    231001 Fail "the emoji_type is unknown";
    231003 TargetGone "the message was not found or was recalled";
    231007 TargetGone "the reaction belongs to somebody else";
    231010 TargetGone "the reaction is not on this message";
    231011 TargetGone "the reaction's id is invalid";
    231015 Retry "the same reaction is being processed";
    232006 TargetGone "the chat's id is invalid";
    232009 TargetGone "the chat was dissolved";
    232011 TargetGone "the bot is not in the chat";
    232096 Retry "writes are stopped for a while";
    234001 Fail "a parameter of the file call is malformed, or its key unknown";
    234003 TargetGone "the file is not in this message";
    234004 TargetGone "the bot is not in the message's chat";
    234006 TooLarge "the file is larger than Feishu takes";
    234010 Content "the file is empty";
    234011 Content "the image's format is not known";
    234037 TooLarge "the file is larger than Feishu gives out";
    234038 Fail "the message is protected: its files are not given out";
    234043 Fail "files of this message type are not given out";
    99991400 Slow "too fast for this call";
    99991401 Configuration "this address is not on the app's list of allowed addresses";
    99991403 Fail "the monthly quota is used up";
    99991543 Configuration "the app id or secret is wrong";
    99991661 NewToken "no token came with the request";
    99991662 Configuration "the app is disabled";
    99991663 NewToken "the tenant token is invalid or expired";
    99991664 NewToken "the app token is invalid";
    99991665 NewToken "the tenant token is illegal";
    99991671 NewToken "the token has the wrong form";
    99991672 Scope "a scope is missing: grant it in the console and publish a version";
    99991673 Configuration "the app is not installed";
    99991676 Scope "the token lacks the right: grant the scope and publish a version";
    99991679 Scope "a right was not granted: grant the scope and publish a version";
    99992402 Fail "a field is invalid";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice_and_limits_are_waited_for() {
        for (at, code) in TABLE.iter().enumerate() {
            assert!(
                TABLE[at + 1..].iter().all(|other| other.code != code.code),
                "{}",
                code.code
            );
        }
        // The official Node and Python layers file these two elsewhere.
        for limit in [99_991_400, 230_020] {
            assert_eq!(lookup(limit).map(|code| code.advice), Some(Advice::Slow));
        }
        assert_eq!(lookup(424_242), None);
    }
}
