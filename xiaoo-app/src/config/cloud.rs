//! The two clouds in which an app can be.

/// One of them. Other addresses are private deployments, gateways and simulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// China's.
    Feishu,
    /// Everybody else's.
    Lark,
}

impl Cloud {
    /// Both, in the order in which they are tried where nobody knows.
    pub const ALL: [Self; 2] = [Self::Feishu, Self::Lark];
    /// As `domain` in the configuration names them.
    pub(super) const DOMAINS: [&str; 2] = [Self::Feishu.domain(), Self::Lark.domain()];

    /// As `domain` in the configuration names it.
    #[must_use]
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Feishu => "feishu",
            Self::Lark => "lark",
        }
    }

    /// Where the OpenAPI is, and the console.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Feishu => "https://open.feishu.cn",
            Self::Lark => "https://open.larksuite.com",
        }
    }

    /// The one that `domain` names.
    #[must_use]
    pub fn of_domain(domain: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cloud| cloud.domain() == domain)
    }
}
