package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.TemplateCommand;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.SmeltConfig;
import io.kubernetes.client.openapi.models.V1Secret;
import io.kubernetes.client.openapi.models.V1Service;
import io.kubernetes.client.openapi.models.V1StatefulSet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The chart, rendered by Helm itself and held to Kubernetes' own definitions. */
class HelmChartTest {

  private static final Path CHART = Path.of("helm/smelt");
  private static final YAMLMapper YAML = new YAMLMapper();

  @TempDir private Path folder;

  private interface Definition {
    void check(JsonElement element) throws IOException;
  }

  private static final Map<String, Definition> DEFINITIONS =
      Map.of(
          "Secret", V1Secret::validateJsonElement,
          "Service", V1Service::validateJsonElement,
          "StatefulSet", V1StatefulSet::validateJsonElement);

  @BeforeAll
  static void requireHelm() {
    boolean here =
        System.getProperty("os.name").equals("Linux")
            && System.getProperty("os.arch").equals("amd64");
    assumeTrue(here, "Helm's library is on the class path for Linux on amd64 only");
  }

  @Test
  void shouldPassHelmsLint() {
    LintResult lint = new Helm(CHART).lint().strict().call();

    assertThat(lint.isFailed()).as(lint.getMessages().toString()).isFalse();
  }

  @Test
  void shouldPutTheAgentBesideTheEngineByDefault() throws IOException {
    Map<String, JsonNode> objects = objects(chart());

    assertThat(objects)
        .containsOnlyKeys("Secret r-smelt", "StatefulSet r-smelt", "Service r-smelt");
    JsonNode pod = objects.get("StatefulSet r-smelt").at("/spec/template/spec");
    assertThat(pod.path("containers")).hasSize(2);
    assertThat(pod.at("/containers/0/name").asText()).isEqualTo("engine");
    assertThat(pod.at("/containers/1/image").asText()).isEqualTo("smelt:0.1.0-SNAPSHOT");
    assertThat(pod.at("/containers/1/securityContext/readOnlyRootFilesystem").asBoolean()).isTrue();
  }

  @Test
  void shouldHandTheAgentAConfigurationThatItTakes() throws IOException {
    JsonNode secret = objects(chart()).get("Secret r-smelt");
    Path file = folder.resolve("smelt.yaml");
    Files.writeString(file, secret.at("/stringData/smelt.yaml").asText());

    SmeltConfig config = ConfigFile.read(file);

    assertThat(config.data()).isEqualTo(Path.of("/var/lib/smelt"));
    assertThat(config.kafka().bootstrapServers()).isEqualTo("kafka:9092");
    assertThat(config.models()).hasSize(1);
  }

  @Test
  void shouldServeAStoreOfItsOwn() throws IOException {
    Map<String, JsonNode> objects =
        objects(chart().set("sidecar.enabled", "false").set("store.enabled", "true"));

    assertThat(objects).containsOnlyKeys("StatefulSet r-smelt-store", "Service r-smelt-store");
    assertThat(arguments(objects)).startsWith("store", "serve").contains("--plain");
  }

  @Test
  void shouldEncryptTheStoreWhereACertificateIsGiven() throws IOException {
    Map<String, JsonNode> objects =
        objects(
            chart()
                .set("sidecar.enabled", "false")
                .set("store.enabled", "true")
                .set("store.tlsSecret", "store-tls"));

    assertThat(arguments(objects))
        .contains("--certificate=/etc/smelt-tls/tls.crt")
        .doesNotContain("--plain");
  }

  @Test
  void shouldCallTheStoreAsTheCommandIsTyped() throws IOException {
    Map<String, JsonNode> objects =
        objects(chart().set("sidecar.enabled", "false").set("store.enabled", "true"));

    Smelt.commandLine().parseArgs(arguments(objects));
  }

  @Test
  void shouldHaveAMonitorWhereAskedFor() throws IOException {
    JsonNode monitor =
        objects(chart().set("serviceMonitor.enabled", "true")).get("ServiceMonitor r-smelt");

    assertThat(monitor.at("/spec/endpoints/0/path").asText()).isEqualTo("/metrics");
  }

  @Test
  void shouldRefuseValuesThatItDoesNotKnow() {
    TemplateCommand template = chart().set("sidecar.enbaled", "true");

    assertThatThrownBy(template::call).hasMessageContaining("enbaled");
  }

  private static TemplateCommand chart() {
    return new Helm(CHART).template().withName("r");
  }

  private static String[] arguments(Map<String, JsonNode> objects) {
    JsonNode container =
        objects.get("StatefulSet r-smelt-store").at("/spec/template/spec/containers/0");
    return YAML.convertValue(container.path("args"), String[].class);
  }

  /** What the chart renders to, by kind and name; each checked against its definition. */
  private static Map<String, JsonNode> objects(TemplateCommand template) throws IOException {
    Map<String, JsonNode> objects = new HashMap<>();
    String rendered = template.call();
    try (MappingIterator<JsonNode> documents =
        YAML.readerFor(JsonNode.class).readValues(rendered)) {
      while (documents.hasNext()) {
        JsonNode object = documents.next();
        String kind = object.path("kind").asText();
        Definition definition = DEFINITIONS.get(kind);
        if (definition != null) {
          definition.check(JsonParser.parseString(object.toString()));
        }
        objects.put(kind + " " + object.at("/metadata/name").asText(), object);
      }
    }
    return objects;
  }
}
