//! What people see: cards and answers as Feishu content.
