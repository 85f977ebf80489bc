package main

import (
	"context"
	"errors"

	"github.com/AliyunContainerService/ack-ram-tool/pkg/credentials/provider"
	core "github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	oss "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	sls "github.com/aliyun/aliyun-log-go-sdk"
	"github.com/aliyun/credentials-go/credentials"
	"github.com/denverdino/aliyungo/metadata"

	// A path of its own under `replace` in go.mod, because a build has only one version of a path.
	metadata2019 "aliyungo-2019.invalid/aliyungo/metadata"
)

var clients = map[string]func(arguments []string) (call, error){
	"credentials-uri":   credentialsURI,
	"credentials-ecs":   credentialsECS,
	"credentials-chain": credentialsChain,
	"core-uri":          coreURI,
	"core-ecs":          coreECS,
	"oss-ecs":           ossECS,
	"sls-ecs":           slsECS,
	"ack-uri":           ackURI,
	"ack-ecs":           ackECS,
	"aliyungo":          aliyungo,
	"aliyungo-2019":     aliyungo2019,
}

// credentials-go, type credentials_uri: URI
func credentialsURI(arguments []string) (call, error) {
	config := new(credentials.Config).SetType("credentials_uri").SetURLCredential(arguments[0])
	return viaCredentials(config)
}

// credentials-go, ECS metadata: [ROLE]
func credentialsECS(arguments []string) (call, error) {
	config := new(credentials.Config).SetType("ecs_ram_role")
	if len(arguments) > 0 {
		config.SetRoleName(arguments[0])
	}
	return viaCredentials(config)
}

// credentials-go, default chain, configured by environment variables only
func credentialsChain([]string) (call, error) {
	return viaCredentials(nil)
}

func viaCredentials(config *credentials.Config) (call, error) {
	credential, err := credentials.NewCredential(config)
	return func() (triple, error) {
		got, err := credential.GetCredential()
		if err != nil {
			return triple{}, err
		}
		return triple{*got.AccessKeyId, *got.AccessKeySecret, *got.SecurityToken}, nil
	}, err
}

// alibaba-cloud-sdk-go, URL provider: URI
func coreURI(arguments []string) (call, error) {
	built, err := core.NewURLCredentialsProviderBuilderBuilder().WithUrl(arguments[0]).Build()
	return viaCore(built), err
}

// alibaba-cloud-sdk-go, ECS metadata: [ROLE]
func coreECS(arguments []string) (call, error) {
	builder := core.NewECSRAMRoleCredentialsProviderBuilder()
	if len(arguments) > 0 {
		builder.WithRoleName(arguments[0])
	}
	built, err := builder.Build()
	return viaCore(built), err
}

func viaCore(from core.CredentialsProvider) call {
	return func() (triple, error) {
		got, err := from.GetCredentials()
		if err != nil {
			return triple{}, err
		}
		return triple{got.AccessKeyId, got.AccessKeySecret, got.SecurityToken}, nil
	}
}

// alibabacloud-oss-go-sdk-v2, ECS metadata: [ROLE]
func ossECS(arguments []string) (call, error) {
	var options []func(*oss.EcsRoleCredentialsProviderOptions)
	if len(arguments) > 0 {
		options = append(options, oss.EcsRamRole(arguments[0]))
	}
	from := oss.NewEcsRoleCredentialsProvider(options...)
	return func() (triple, error) {
		got, err := from.GetCredentials(context.Background())
		return triple{got.AccessKeyID, got.AccessKeySecret, got.SecurityToken}, err
	}, nil
}

// aliyun-log-go-sdk, ECS metadata: ROLE
func slsECS(arguments []string) (call, error) {
	from := sls.NewEcsRamRoleCredentialsProvider(arguments[0])
	return func() (triple, error) {
		got, err := from.GetCredentials()
		return triple{got.AccessKeyID, got.AccessKeySecret, got.SecurityToken}, err
	}, nil
}

// ack-ram-tool's provider module, URI: URI
func ackURI(arguments []string) (call, error) {
	return viaACK(provider.NewURIProvider(arguments[0], provider.URIProviderOptions{})), nil
}

// ack-ram-tool's provider module, ECS metadata: [ROLE [ENDPOINT]]
func ackECS(arguments []string) (call, error) {
	var options provider.ECSMetadataProviderOptions
	if len(arguments) > 0 {
		options.RoleName = arguments[0]
	}
	if len(arguments) > 1 {
		options.Endpoint = arguments[1]
	}
	return viaACK(provider.NewECSMetadataProvider(options)), nil
}

func viaACK(from provider.CredentialsProvider) call {
	return func() (triple, error) {
		got, err := from.Credentials(context.Background())
		if err != nil {
			return triple{}, err
		}
		return triple{got.AccessKeyId, got.AccessKeySecret, got.SecurityToken}, nil
	}
}

// aliyungo, as external-dns uses it: it reads the role list, then the role. METADATA_ENDPOINT may set the address.
func aliyungo([]string) (call, error) {
	from := metadata.NewMetaData(nil)
	return viaAliyungo(from.RoleName, from.RamRoleToken), nil
}

// aliyungo of 2019, which requests a path with `Ram`, as ossutil v1 and JindoSDK do
func aliyungo2019([]string) (call, error) {
	from := metadata2019.NewMetaData(nil)
	return viaAliyungo(from.RoleName, func(role string) (metadata.RoleAuth, error) {
		got, err := from.RamRoleToken(role)
		return metadata.RoleAuth(got), err
	}), nil
}

func viaAliyungo(find func() (string, error), fetch func(role string) (metadata.RoleAuth, error)) call {
	return func() (triple, error) {
		role, err := find()
		if err != nil {
			return triple{}, err
		}
		got, err := fetch(role)
		if err == nil && got.Code != "Success" {
			err = errors.New(got.Code)
		}
		return triple{got.AccessKeyId, got.AccessKeySecret, got.SecurityToken}, err
	}
}
