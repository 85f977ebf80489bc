import com.aliyun.credentials.Client;
import com.aliyun.credentials.models.Config;
import com.aliyun.credentials.models.CredentialModel;
import com.aliyun.openservices.log.common.auth.ECSRoleCredentials;
import com.aliyun.openservices.log.common.auth.ECSRoleCredentialsProvider;
import com.aliyun.oss.common.auth.CredentialsProvider;
import com.aliyun.oss.common.auth.CustomSessionCredentialsProvider;
import com.aliyun.oss.common.auth.EcsRamRoleCredentialsProvider;
import com.aliyun.oss.common.auth.InstanceProfileCredentialsProvider;
import com.aliyuncs.auth.AlibabaCloudCredentialsProvider;
import com.aliyuncs.auth.BasicSessionCredentials;
import com.aliyuncs.auth.URLCredentialsProvider;
import java.util.Map;

/** The subcommands. The class names of the SDKs document them. */
final class Clients {
    static final Map<String, Harness.Build> ALL =
            Map.ofEntries(
                    Map.entry("credentials-uri", Clients::credentialsURI),
                    Map.entry("credentials-ecs", Clients::credentialsECS),
                    Map.entry("credentials-chain", arguments -> viaCredentials(new Client())),
                    Map.entry("core-uri", Clients::coreURI),
                    Map.entry("core-ecs", Clients::coreECS),
                    Map.entry("oss-uri", words -> viaOSS(new EcsRamRoleCredentialsProvider(words[0]))),
                    Map.entry("oss-custom", words -> viaOSS(new CustomSessionCredentialsProvider(words[0]))),
                    Map.entry("oss-ecs", words -> viaOSS(new InstanceProfileCredentialsProvider(words[0]))),
                    Map.entry("sls-ecs", Clients::slsECS),
                    Map.entry("sls-ecs-credentials", Clients::slsECSCredentials));

    private Clients() {}

    /** URI */
    private static Harness.Call credentialsURI(String[] arguments) {
        Config config = new Config();
        config.type = "credentials_uri";
        config.credentialsURI = arguments[0];
        return viaCredentials(new Client(config));
    }

    /** [ROLE] */
    private static Harness.Call credentialsECS(String[] arguments) {
        Config config = new Config();
        config.type = "ecs_ram_role";
        config.roleName = arguments.length > 0 ? arguments[0] : null;
        return viaCredentials(new Client(config));
    }

    private static Harness.Call viaCredentials(Client client) {
        return () -> {
            CredentialModel got = client.getCredential();
            return new Harness.Triple(got.getAccessKeyId(), got.getAccessKeySecret(), got.getSecurityToken());
        };
    }

    /** URI */
    private static Harness.Call coreURI(String[] arguments) throws Exception {
        return viaCore(URLCredentialsProvider.builder().credentialsURI(arguments[0]).build());
    }

    /** ROLE */
    private static Harness.Call coreECS(String[] arguments) {
        return viaCore(new com.aliyuncs.auth.InstanceProfileCredentialsProvider(arguments[0]));
    }

    private static Harness.Call viaCore(AlibabaCloudCredentialsProvider provider) {
        return () -> {
            BasicSessionCredentials got = (BasicSessionCredentials) provider.getCredentials();
            return new Harness.Triple(got.getAccessKeyId(), got.getAccessKeySecret(), got.getSessionToken());
        };
    }

    private static Harness.Call viaOSS(CredentialsProvider provider) {
        return () -> {
            com.aliyun.oss.common.auth.Credentials got = provider.getCredentials();
            return got == null
                    ? null
                    : new Harness.Triple(got.getAccessKeyId(), got.getSecretAccessKey(), got.getSecurityToken());
        };
    }

    /** ROLE */
    private static Harness.Call slsECS(String[] arguments) {
        ECSRoleCredentialsProvider provider = new ECSRoleCredentialsProvider(arguments[0]);
        return () -> viaSLS(provider.getCredentials());
    }

    /** ROLE: the older class, which fetches in its getters */
    private static Harness.Call slsECSCredentials(String[] arguments) {
        ECSRoleCredentials credentials = new ECSRoleCredentials(arguments[0]);
        return () -> viaSLS(credentials);
    }

    private static Harness.Triple viaSLS(com.aliyun.openservices.log.common.auth.Credentials got) {
        return new Harness.Triple(got.getAccessKeyId(), got.getAccessKeySecret(), got.getSecurityToken());
    }
}
