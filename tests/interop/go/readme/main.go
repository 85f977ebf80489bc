package main

import (
	"fmt"

	"github.com/aliyun/credentials-go/credentials"
)

func main() {
	client, err := credentials.NewCredential(nil)
	if err != nil {
		panic(err)
	}
	credential, err := client.GetCredential()
	if err != nil {
		panic(err)
	}
	fmt.Println(*credential.AccessKeyId)
}
