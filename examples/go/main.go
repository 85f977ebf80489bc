// Orders is a program with Alibaba Cloud credentials: it asks STS who it is. It knows nothing of the sidecar.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aliyun/credentials-go/credentials"
)

const stsEndpoint = "https://sts.aliyuncs.com"

// CallerIdentity returns the ARN of the credentials that the SDK's default chain finds.
func CallerIdentity(endpoint string) (string, error) {
	client, err := credentials.NewCredential(nil)
	if err != nil {
		return "", err
	}
	credential, err := client.GetCredential()
	if err != nil {
		return "", err
	}
	fields := url.Values{
		"Action":           {"GetCallerIdentity"},
		"Version":          {"2015-04-01"},
		"Format":           {"JSON"},
		"AccessKeyId":      {*credential.AccessKeyId},
		"SecurityToken":    {*credential.SecurityToken},
		"SignatureMethod":  {"HMAC-SHA1"},
		"SignatureVersion": {"1.0"},
		"SignatureNonce":   {rand.Text()},
		"Timestamp":        {time.Now().UTC().Format("2006-01-02T15:04:05Z")},
	}
	mac := hmac.New(sha1.New, []byte(*credential.AccessKeySecret+"&"))
	mac.Write([]byte("POST&%2F&" + percentEncoded(url.QueryEscape(percentEncoded(fields.Encode())))))
	fields.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))

	response, err := http.PostForm(endpoint, fields)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct{ Arn, Code string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.Code != "" {
		return "", fmt.Errorf("STS refused: %s", answer.Code)
	}
	return answer.Arn, nil
}

// percentEncoded turns the form encoding of net/url into the percent-encoding that the signature needs.
func percentEncoded(text string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(text)
}

func main() {
	endpoint := os.Getenv("STS_ENDPOINT")
	if endpoint == "" {
		endpoint = stsEndpoint
	}
	arn, err := CallerIdentity(endpoint)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(arn)
}
