package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AnswerTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // vLLM: alone, first, in the middle, last, with white space
        "{'choices':[{'routed_experts':'QUJD'}]}|{'choices':[{}]}",
        "{'choices':[{'routed_experts':'QUJD','text':'a'}]}|{'choices':[{'text':'a'}]}",
        "{'choices':[{'index':0,'routed_experts':'QUJD','text':'a'}]}|{'choices':[{'index':0,'text':'a'}]}",
        "{'choices':[{'text':'a','routed_experts':'QUJD'}]}|{'choices':[{'text':'a'}]}",
        "{ 'choices' : [ { 'text' : 'a' , 'routed_experts' : 'QUJD' } ] }|{ 'choices' : [ { 'text' : 'a' } ] }",
        // SGLang: the extension goes when nothing else is in it
        "{'choices':[{'text':'a','sgl_ext':{'routed_experts':'QUJD'}}]}|{'choices':[{'text':'a'}]}",
        "{'choices':[{'sgl_ext':{'routed_experts':'QUJD'},'text':'a'}]}|{'choices':[{'text':'a'}]}",
        "{'choices':[{'sglext':{'routed_experts':'QUJD','routed_experts_dtype':'uint8'}}]}|{'choices':[{}]}",
        "{'choices':[{'sgl_ext':{'a':1,'routed_experts':'QUJD','routed_experts_dtype':'uint8'}}]}|{'choices':[{'sgl_ext':{'a':1}}]}",
        "{'choices':[{'sgl_ext':{'routed_experts':'QUJD','routed_experts_dtype':'uint8','a':1}}]}|{'choices':[{'sgl_ext':{'a':1}}]}",
        "{'meta_info':{'id':'x','routed_experts':'QUJD'},'text':'a'}|{'meta_info':{'id':'x'},'text':'a'}",
        // several choices
        "{'choices':[{'routed_experts':'QUJD'},{'a':1,'routed_experts':'QUJD'}]}|{'choices':[{},{'a':1}]}",
      })
  void shouldCutExpertsAndNothingElse(String answer, String stripped) throws PayloadException {
    Answer read = Answer.read(json(answer));

    assertThat(new String(read.stripped(), StandardCharsets.UTF_8))
        .isEqualTo(stripped.replace('\'', '"'));
    assertThat(read.payloads(0))
        .isNotEmpty()
        .allSatisfy(
            payload ->
                assertThat(
                        StandardCharsets.US_ASCII.decode(payload.base64().duplicate()).toString())
                    .isEqualTo("QUJD"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // completions
        "{'choices':[{'text':'ab','logprobs':{'tokens':['a','b'],'token_logprobs':[null,-1.5],'top_logprobs':[{'a':-1}]}}]}|1|-1.5",
        "{'choices':[{'logprobs':{'token_logprobs':[-1,-2]}},{'logprobs':{'token_logprobs':[-3]}}]}|3|-6",
        // chat
        "{'choices':[{'logprobs':{'content':[{'token':'a','logprob':-0.5,'top_logprobs':[{'token':'b','logprob':-9}]},{'logprob':-2}],'refusal':null}}]}|2|-2.5",
        // none
        "{'choices':[{'text':'a','logprobs':null}]}|0|0",
        "{'choices':[{'logprobs':{'content':null}}]}|0|0",
        "{'logprobs':{'token_logprobs':[-1]},'choices':[]}|0|0",
      })
  void shouldReadLogProbabilitiesWhereTheClientAsked(String answer, long tokens, double sum)
      throws PayloadException {
    byte[] bytes = json(answer);

    Answer read = Answer.read(bytes);

    assertThat(read.scores().tokens()).isEqualTo(tokens);
    assertThat(read.scores().sum()).isEqualTo(sum);
    assertThat(read.stripped()).isSameAs(bytes);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'choices':[{'text':'a'}]}",
        "{'choices':[{'text':'a','routed_experts':null}]}",
        "{'choices':[{'message':{'routed_experts':'a client speaks of it'}}]}",
        "{'routed_experts':'at the root'}",
        "{'choices':[{'text':'routed_experts'}]}",
        "{'choices':[{'text':'ü \\u00fc \\\" \\\\','nested':[[{'a':[]}],{}]}],'usage':null}",
      })
  void shouldLeaveOtherAnswersAlone(String answer) throws PayloadException {
    byte[] bytes = json(answer);

    Answer read = Answer.read(bytes);

    assertThat(read.stripped()).isSameAs(bytes);
    assertThat(read.payloads(0)).isEmpty();
  }

  @Test
  void shouldKeepMultiByteTextAroundACut() throws PayloadException {
    String answer = "{'choices':[{'text':'Größe 雪','routed_experts':'QUJD','reason':'“x”'}]}";

    assertThat(new String(Answer.read(json(answer)).stripped(), StandardCharsets.UTF_8))
        .isEqualTo("{'choices':[{'text':'Größe 雪','reason':'“x”'}]}".replace('\'', '"'));
  }

  @Test
  void shouldCutLongExpertsOfSeveralChoices() throws PayloadException {
    String first = "QUJD".repeat(1000);
    String second = "REVG".repeat(2000);
    String answer =
        ("{'note':'routed_experts','choices':[{'routed_experts' : '%s','text':'a'},"
                + "{'text':'Größe','sgl_ext':{'routed_experts':'%s'},'index':1}],"
                + "'usage':{'prompt_tokens':7}}")
            .formatted(first, second);

    Answer read = Answer.read(json(answer));

    assertThat(new String(read.stripped(), StandardCharsets.UTF_8))
        .isEqualTo(
            ("{'note':'routed_experts','choices':[{'text':'a'},{'text':'Größe','index':1}],"
                    + "'usage':{'prompt_tokens':7}}")
                .replace('\'', '"'));
    assertThat(read.payloads(0))
        .extracting(payload -> StandardCharsets.US_ASCII.decode(payload.base64()).toString())
        .containsExactly(first, second);
  }

  @Test
  void shouldLeaveLongExpertsAloneThatAClientSpeaksOf() throws PayloadException {
    byte[] answer =
        json("{'choices':[{'message':{'routed_experts':'%s'}}]}".formatted("x".repeat(4000)));

    Answer read = Answer.read(answer);

    assertThat(read.carriesExperts()).isFalse();
    assertThat(read.stripped()).isSameAs(answer);
  }

  @Test
  void shouldReadLongExpertsWithAnEscapedQuote() throws PayloadException {
    String escaped = "x".repeat(3000) + "\\\"" + "x".repeat(3000);
    String answer = "{'choices':[{'routed_experts':'%s'}]}".formatted(escaped);

    Answer read = Answer.read(json(answer));

    assertThat(read.stripped()).asString().isEqualTo("{\"choices\":[{}]}");
  }

  @Test
  void shouldDeriveRowsFromUsage() throws PayloadException {
    String answer =
        "{'choices':[{'sgl_ext':{'routed_experts':'QUJD','routed_experts_dtype':'uint8'}}],"
            + "'usage':{'prompt_tokens':7,'completion_tokens':3,'total_tokens':10}}";

    List<Payload> payloads = Answer.read(json(answer)).payloads(2);

    assertThat(payloads).hasSize(1);
    assertThat(payloads.get(0).rows()).isEqualTo(7);
    assertThat(payloads.get(0).elementType()).isEqualTo(Optional.of("uint8"));
  }

  @Test
  void shouldNotDeriveRowsOfSeveralChoices() throws PayloadException {
    String answer =
        "{'choices':[{'routed_experts':'QUJD'},{'routed_experts':'QUJD'}],"
            + "'usage':{'prompt_tokens':7,'completion_tokens':6}}";

    assertThat(Answer.read(json(answer)).payloads(0))
        .hasSize(2)
        .allSatisfy(payload -> assertThat(payload.rows()).isEqualTo(Payload.UNKNOWN_ROWS));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[]",
        "text",
        "{'choices':[",
        "{'choices':[{'routed_experts':'QUJ",
        "{'choices':[{'a':1}",
        "{'a':",
        "''"
      })
  void shouldRefuseWhatIsNotJson(String answer) {
    assertThatThrownBy(() -> Answer.read(json(answer)))
        .isInstanceOfSatisfying(
            PayloadException.class,
            refused -> assertThat(refused.fault()).isEqualTo(TapFault.NOT_JSON));
  }

  private static byte[] json(String singleQuoted) {
    return singleQuoted.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
  }
}
