#include "ledger/price_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <iterator>

#include "ledger/calendar.h"
#include "ledger/secret.h"

namespace baleen::ledger {
namespace {

using ::testing::HasSubstr;

std::int64_t At(std::string_view time) { return ParseTime(time).value(); }

std::string Hex(const Hash& hash) {
  std::string text;
  for (const unsigned char byte : hash) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

TEST(Secret, TheHashIsSha256) {
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Hex(Sha256(std::string(1000000, 'a'))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Money, DecimalsAreExact) {
  EXPECT_EQ(ParseDollars("0.15").value(), PicoDollars{150'000'000'000});
  EXPECT_EQ(ParseDollars("0.000000000001").value(), PicoDollars{1});
  EXPECT_EQ(ParseDollars(".5").value(), ParseDollars("0.50").value());
  EXPECT_EQ(ParseDollars("9000000").value(), 9'000'000 * kPicoDollarsPerDollar);
  for (const char* wrong : {"", ".", "-1", "+1", "1e3", "1,5", "9000000.000000000001", "0.0000000000001", "nan", " 1", "1.2.3", "99999999999999999999999"})
    EXPECT_FALSE(ParseDollars(wrong)) << wrong;
  EXPECT_EQ(WriteDollars(0), "0.00");
  EXPECT_EQ(WriteDollars(-1), "-0.000000000001");
  EXPECT_EQ(WriteDollars(1'500'000'000'000), "1.50");
}

RC_GTEST_PROP(Money, WhatIsWrittenIsReadBack, ()) {
  const PicoDollars amount = *rc::gen::inRange<std::int64_t>(0, 9'000'000'000'000'000'000);
  RC_ASSERT(ParseDollars(WriteDollars(amount)).value() == amount);
}

TEST(PriceList, TheShippedOneHasThePublishedPrices) {
  const PriceList list = PriceList::Shipped();
  EXPECT_EQ(list.date(), "2026-11-15");
  EXPECT_EQ(list.OffPeak("deepseek-flash"), (Rates{3'000, 150'000, 600'000}));
  EXPECT_EQ(list.Peak("deepseek-flash"), (Rates{6'000, 300'000, 1'200'000}));
  EXPECT_EQ(list.OffPeak("deepseek-v4-flash-vision-exp"), list.OffPeak("deepseek-flash"));
  EXPECT_EQ(list.OffPeak("deepseek-v4-pro"), (Rates{22'000, 660'000, 1'980'000}));
  EXPECT_EQ(list.Peak("deepseek-v4-pro"), (Rates{44'000, 1'320'000, 3'960'000}));
  EXPECT_FALSE(list.OffPeak("plankton"));
  EXPECT_TRUE(PriceList::Load(std::string(BALEEN_SOURCE_DIR) + "/models/prices-deepseek.json"));
}

TEST(PriceList, PeakHoursHoldFromTheirFirstSecondToTheirLast) {
  const PriceList list = PriceList::Shipped();
  for (const char* day : {"2026-11-23", "2026-11-27"}) {  // Monday, Friday
    for (const auto& [clock, peak] : {std::pair{"T00:59:59Z", false},
                                      {"T01:00:00Z", true},
                                      {"T03:59:59Z", true},
                                      {"T04:00:00Z", false},
                                      {"T05:59:59Z", false},
                                      {"T06:00:00Z", true},
                                      {"T09:59:59Z", true},
                                      {"T10:00:00Z", false},
                                      {"T23:59:59Z", false}}) {
      EXPECT_EQ(list.IsPeak(At(std::string(day) + clock)), peak) << day << clock;
    }
  }
  for (const char* day : {"2026-11-22T02:00:00Z", "2026-11-28T02:00:00Z"}) EXPECT_FALSE(list.IsPeak(At(day))) << day;
  EXPECT_EQ(list.RatesAt("deepseek-flash", At("2026-11-27T02:00:00Z"))->miss, 300'000);
  EXPECT_EQ(list.RatesAt("deepseek-flash", At("2026-11-28T02:00:00Z"))->miss, 150'000);
}

TEST(PriceList, DaysWithoutPeakAndEndsOfDays) {
  const PriceList list = PriceList::Parse(R"({"source": "s", "date": "2026-01-01", "models": [{"model": "*", "hit": 0, "miss": "0.000001", "output": 10000}],
    "peak": {"hours": [{"days": ["sun"], "from": "00:00", "until": "24:00"}], "except": ["2026-11-29"]}})")
                             .value();
  EXPECT_TRUE(list.IsPeak(At("2026-11-22")));
  EXPECT_TRUE(list.IsPeak(At("2026-11-22T23:59:59Z")));
  EXPECT_FALSE(list.IsPeak(At("2026-11-23")));
  EXPECT_FALSE(list.IsPeak(At("2026-11-29")));
  EXPECT_EQ(list.Peak("anything"), (Rates{0, 1, 10'000'000'000}));
  EXPECT_EQ(list.OffPeak(""), list.Peak(""));
}

TEST(PriceList, CostsAreExact) {
  const Rates rates = PriceList::Shipped().OffPeak("deepseek-flash").value();
  EXPECT_EQ(WriteDollars(rates.CostOf(1, 1, 1)), "0.000000753");
  EXPECT_EQ(WriteDollars(rates.CostOf(1'000'000, 1'000'000, 1'000'000)), "0.753");
  const std::int64_t most = std::int64_t{1} << 40;
  EXPECT_EQ((Rates{10'000'000'000, 10'000'000'000, 10'000'000'000}.CostOf(most, most, most)), PicoDollars{30'000'000'000} << 40);
}

RC_GTEST_PROP(PriceList, EveryPriceOfSixDecimalsIsExact, ()) {
  const std::int64_t micro = *rc::gen::inRange<std::int64_t>(0, 10'000'000'001);
  const std::string price = WriteDollars(PicoDollars{micro} * 1'000'000);
  const PriceList list =
      PriceList::Parse(R"({"source": "s", "date": "2026-01-01", "models": [{"model": "*", "hit": 0, "miss": )" + price + R"(, "output": ")" + price + "\"}]}")
          .value();
  RC_ASSERT(list.OffPeak("x")->miss == micro);
  RC_ASSERT(list.OffPeak("x")->output == micro);
}

TEST(PriceList, FaultsNameTheField) {
  const auto error = [](const std::string& models, const std::string& more = "") {
    const auto list = PriceList::Parse(R"({"source": "s", "date": "2026-01-01", "models": )" + models + more + "}");
    return list ? std::string("read") : list.error().message;
  };
  EXPECT_EQ(error(R"([{"model": "a*", "hit": 1, "miss": 1, "output": 1}])"), "read");
  EXPECT_THAT(error("[]"), HasSubstr("models"));
  EXPECT_THAT(error("[7]"), HasSubstr("models[0].model"));
  for (const char* price : {"-1", "1e9", "0.0000001", "\"x\"", "null", "[]", "10000.000001"}) {
    EXPECT_THAT(error(R"([{"model": "a", "hit": 1, "output": 1, "miss": )" + std::string(price) + "}]"), HasSubstr("models[0].miss")) << price;
  }
  const std::string good = R"([{"model": "a", "hit": 1, "miss": 1, "output": 1}])";
  for (const char* hours : {R"({"days": ["mon"], "from": "04:00", "until": "04:00"})", R"({"days": ["mon"], "from": "04:00", "until": "24:01"})"}) {
    EXPECT_THAT(error(good, R"(, "peak": {"hours": [)" + std::string(hours) + "]}"), HasSubstr("peak.hours[0].until")) << hours;
  }
  EXPECT_THAT(error(good, R"(, "peak": {"hours": [{"days": ["day"], "from": "01:00", "until": "02:00"}]})"), HasSubstr("days"));
  EXPECT_THAT(error(good, R"(, "peak": {"hours": [], "except": ["2026-02-30"]})"), HasSubstr("peak.except"));
  EXPECT_FALSE(PriceList::Parse(""));
  EXPECT_FALSE(PriceList::Parse(std::string(500000, '[')));
  EXPECT_FALSE(PriceList::Parse("{\"source\": \"\xff\"}"));
  EXPECT_FALSE(PriceList::Load("/nonexistent/list.json"));
}

TEST(Calendar, DaysMonthsAndTimes) {
  EXPECT_EQ(WriteDay(At("2028-02-29") / kSecondsPerDay), "2028-02-29");
  EXPECT_EQ(FirstDayOfNextMonth(DayOf(At("2026-12-31"))), DayOf(At("2027-01-01")));
  EXPECT_EQ(MonthOf(DayOf(At("2027-01-01"))) - MonthOf(DayOf(At("2026-12-31"))), 1);
  EXPECT_EQ(WeekdayOf(DayOf(At("2026-11-23"))), 0);
  EXPECT_EQ(At("2026-11-27T08:30:05Z") - At("2026-11-27"), 8 * 3600 + 30 * 60 + 5);
  EXPECT_EQ(WriteTime(At("2026-11-27T08:30:05Z")), "2026-11-27T08:30:05Z");
  EXPECT_EQ(At("123"), 123);
  for (const char* wrong :
       {"", "2026-2-01", "2026-02-30", "2026-11-27T08:30:05", "2026-11-27T25:00:00Z", "-1", "2026-11-27 08:30:05Z", "2026-11-27TZ", "1969-12-31"}) {
    EXPECT_FALSE(ParseTime(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace baleen::ledger
