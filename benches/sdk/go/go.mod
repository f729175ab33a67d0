module go_subject

go 1.19

require github.com/larksuite/oapi-sdk-go/v3 v3.2.4
